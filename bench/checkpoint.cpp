// Seconds to save a checkpoint of 1 GiB and to load and verify it, beside those
// of `cp` of the same file and its way to the disk.
//
//   cmake --build build --target rsm_checkpoint
//   build/rsm_checkpoint [FOLDER]

#include "rsm/runs/checkpoint.h"

#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

constexpr int kRounds = 3;  ///< the best of so many counts
constexpr int64_t kTensors = 64;

void run(const std::string& command) {
  RSM_CHECK(std::system(command.c_str()) == 0, "[bench] failed: ", command);
}

void measure(const std::string& folder) {
  Checkpoint checkpoint;
  StateDict network;
  for (int64_t i = 0; i < kTensors; ++i) {
    const auto weight = counted_normal(i, {1024, 4096});
    checkpoint.tensors[cat("w", i)] = weight;
    network[cat("w", i)] = at::zeros_like(weight);
  }
  save_checkpoint(folder, checkpoint);
  const std::string file = folder + "/checkpoints/epoch-000000.safetensors";
  const std::string copy = folder + "/copy";
  struct Work {
    const char* name;
    std::function<void()> work;
    double best = INFINITY;
  };
  std::vector<Work> all = {
      {"cp", [&] { run(cat("cp ", file, " ", copy)); }},
      {"cp and sync",
       [&] { run(cat("cp ", file, " ", copy, "; sync ", copy)); }},
      {"save", [&] { save_checkpoint(folder, checkpoint); }},
      {"load and verify", [&] {
         copy_tensors(network, read_checkpoint(folder, 0).tensors, "bench");
       }}};
  for (int round = 0; round < kRounds; ++round) {
    for (auto& [name, work, best] : all) {
      const Clock clock;
      work();
      best = std::min(best, clock.seconds());
    }
  }
  std::printf("%-16s  seconds  x cp  x cp and sync\n", "");
  for (const auto& [name, work, best] : all) {
    std::printf("%-16s  %7.2f  %4.2f  %13.2f\n", name, best, best / all[0].best,
                best / all[1].best);
  }
  run(cat("rm -r ", folder));
}

}  // namespace
}  // namespace rsm

int main(int argc, char** argv) {
  rsm::measure(argc > 1 ? argv[1] : "runs/checkpoint-speed");
}
