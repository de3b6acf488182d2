#include "rsm/runs/memory_advice.h"

#include <c10/util/Exception.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** From LibTorch's "... you tried to allocate 123 bytes" of a CPU, "Tried to
 * allocate 2.00 GiB" of a GPU. */
std::string asked_for(const std::string& message) {
  const std::string before = "ried to allocate ";
  const auto found = message.find(before);
  if (found == std::string::npos) {
    return "memory";
  }
  const char* begin = message.c_str() + found + before.size();
  char* end = nullptr;
  const double number = std::strtod(begin, &end);
  const std::string rest = end;
  for (const std::string unit : {" KiB", " MiB", " GiB", " TiB"}) {
    if (rest.starts_with(unit)) {
      return message.substr(begin - message.c_str(), end - begin) + unit;
    }
  }
  return rest.starts_with(" bytes") ? size_text(number) : "memory";
}

bool is_about_memory(const std::string& message) {
  for (const char* words :
       {"not enough memory", "can't allocate memory", "out of memory",
        "ried to allocate", "Storage size calculation overflowed"}) {
    if (message.find(words) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

std::string size_text(double bytes) {
  const std::array<const char*, 4> units = {"KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  double size = bytes / 1024;
  while (size >= 1024 && unit + 1 < units.size()) {
    size /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %s", size, units[unit]);
  return text.data();
}

std::optional<std::string> memory_refused() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return "memory";
  } catch (const std::length_error&) {
    return "memory";  // of a list longer than any memory
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    if (is_about_memory(message)) {
      return asked_for(message);
    }
  } catch (...) {
  }
  return std::nullopt;
}

void with_memory_advice(const std::string& station, const std::string& advice,
                        const std::function<void()>& work) {
  try {
    work();
  } catch (...) {
    if (const auto asked = memory_refused()) {
      throw Error(cat("[finetune] out of memory: ", station, " asked for ",
                      *asked == "memory" ? "more than there is" : *asked, "; ",
                      advice));
    }
    throw;
  }
}

}  // namespace rsm
