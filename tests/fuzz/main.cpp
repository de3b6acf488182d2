// A loader under libFuzzer: RSM_FUZZ_TARGET says which.

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "rsm/base/error.h"
#include "targets.h"

namespace {

const rsm::fuzz::Target& target() {
  static const auto& found = rsm::fuzz::find_target(RSM_FUZZ_TARGET);
  return found;
}

}  // namespace

/** Makes the seeds into the first folder that is named: the corpus. */
extern "C" int LLVMFuzzerInitialize(int* count, char*** words) {
  for (int i = 1; i < *count; ++i) {
    const std::string folder = (*words)[i];
    if (folder.starts_with('-')) continue;
    std::filesystem::create_directories(folder);
    const auto seeds = target().seeds();
    for (size_t k = 0; k < seeds.size(); ++k) {
      std::ofstream(folder + "/seed-" + std::to_string(k), std::ios::binary)
          << seeds[k];
    }
    break;
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    target().load({reinterpret_cast<const char*>(data), size});
  } catch (const rsm::Error&) {
    // As it should be; anything else ends the program.
  }
  return 0;
}
