// One network at the size of its folder: seconds of a forward, of a forward and
// backward with a LoRA, of decoding, and of encoding texts, of two pictures a
// core.
//
//   cmake --build build --target rsm_network
//   build/rsm_network MODEL TYPE LATENT TEXT_TOKENS TEXTS  (see bench/networks)
//
// Prints one JSON object. Every core runs its own calls, as in a run.

#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/base/memory.h"
#include "rsm/base/random.h"
#include "rsm/base/workers.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora.h"
#include "timing.h"

namespace rsm {
namespace {

constexpr int kRounds = 2;
constexpr int64_t kMatrix = 2048;
constexpr int64_t kTile = 2;  // pictures of a core
constexpr int64_t kT5Tokens = 128;

/** Floating-point operations a second in square products, all cores. */
double matmul_peak(torch::ScalarType type, int64_t cores) {
  const torch::NoGradGuard no_grad;
  const auto a = counted_normal(1, {kMatrix, kMatrix}).to(type);
  const double seconds = best_seconds(
      kRounds, [&] { run_jobs(cores, cores, [&](int64_t) { at::mm(a, a); }); });
  return 2.0 * kMatrix * kMatrix * kMatrix * static_cast<double>(cores) /
         seconds;
}

/** Seconds of a forward, and of a forward and backward with a LoRA. */
void time_network(Network& network, int64_t side, int64_t text_tokens,
                  int64_t cores, nlohmann::json& out) {
  for (auto& p : network->parameters()) p.requires_grad_(false);
  LoraConfig lora;
  lora.rank = 32;
  lora.alpha = 64;
  lora.targets = {"to_q", "to_k", "to_v", "to_out.0"};
  LoraAdapter adapter(*network, lora, 1);
  const auto [width, pooled] = network->condition_widths();
  const int64_t rows = kTile * cores;
  const Condition condition = {
      counted_normal(2, {rows, text_tokens, width}),
      pooled > 0 ? counted_normal(3, {rows, pooled}) : torch::Tensor()};
  TileOptions tiles;
  tiles.tile = kTile;
  tiles.workers = cores;
  GuidedNetwork guided(network, condition, 1, tiles);
  const auto x =
      counted_normal(4, {rows, network->latent_shape()[0], side, side});
  const auto t = at::full({rows}, 0.5);
  adapter.set_enabled(false);  // merged, as rollouts have it
  out["forward"] =
      best_seconds(kRounds, [&] { guided.predict(x, t, condition); });
  adapter.set_enabled(true);
  out["train"] = best_seconds(kRounds, [&] {
    guided.gradients(x, t, condition, adapter.parameters(),
                     [](int64_t, int64_t, const torch::Tensor& y) {
                       return at::ones_like(y);
                     });
  });
}

void run(const std::string& folder, torch::ScalarType type, int64_t side,
         int64_t text_tokens, bool texts) {
  const auto cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  nlohmann::json out = {{"matmul", matmul_peak(type, cores)},
                        {"pictures", kTile * cores}};
  ModelOptions options;
  options.network_type = options.vae_type = type;
  options.vae_workers = cores;
  options.text.type = type;
  options.text.t5_tokens = kT5Tokens;
  auto model = ImageModel::load(folder, options);
  const int64_t channels = model.network->latent_shape()[0];
  time_network(model.network, side, text_tokens, cores, out);
  model.network = {};  // what comes next has the memory for itself
  const auto x = counted_normal(4, {kTile * cores, channels, side, side});
  out["decode"] = best_seconds(kRounds, [&] { model.decoder->decode(x); });
  if (texts) {
    std::vector<std::string> lines;
    for (int64_t i = 0; i < kTile * cores; ++i) {
      lines.push_back(cat("two red clocks and a cup left of them, ", i));
    }
    at::set_num_threads(static_cast<int>(cores));  // as when a run begins
    out["encode"] = best_seconds(kRounds, [&] { model.text->encode(lines); });
  }
  out["peak_mb"] = peak_memory_mb(at::kCPU);
  std::printf("%s\n", out.dump().c_str());
}

}  // namespace
}  // namespace rsm

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: rsm_network MODEL TYPE LATENT TEXT_TOKENS TEXTS\n");
    return 2;
  }
  at::set_num_threads(1);
  rsm::run(argv[1], rsm::type_named(argv[2]), std::atoll(argv[3]),
           std::atoll(argv[4]), std::string(argv[5]) == "1");
}
