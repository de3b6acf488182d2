// One network at the size of its folder: seconds of a forward, of a forward and
// backward with a LoRA, of decoding, and of encoding texts, of two pictures a
// core.
//
//   cmake --build build --target rsm_network
//   build/rsm_network MODEL TYPE LATENT TEXT_TOKENS      (see bench/networks)
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

void run(const std::string& folder, torch::ScalarType type, int64_t side,
         int64_t text_tokens) {
  const auto cores = std::max<int64_t>(1, std::thread::hardware_concurrency());
  const double peak = matmul_peak(type, cores);
  ModelOptions options;
  options.network_type = options.vae_type = type;
  options.vae_workers = cores;
  options.text.type = type;
  options.text.t5_tokens = kT5Tokens;
  auto model = ImageModel::load(folder, options);
  auto& network = model.network;
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
  const double forward =
      best_seconds(kRounds, [&] { guided.predict(x, t, condition); });
  adapter.set_enabled(true);
  const double train = best_seconds(kRounds, [&] {
    guided.gradients(x, t, condition, adapter.parameters(),
                     [](int64_t, int64_t, const torch::Tensor& y) {
                       return at::ones_like(y);
                     });
  });
  const double decode =
      best_seconds(kRounds, [&] { model.decoder->decode(x); });
  std::vector<std::string> texts;
  for (int64_t i = 0; i < rows; ++i) {
    texts.push_back(cat("two red clocks and a cup left of them, ", i));
  }
  at::set_num_threads(static_cast<int>(cores));  // as when a run begins
  const double encode =
      best_seconds(kRounds, [&] { model.text->encode(texts); });
  const nlohmann::json out = {{"pictures", rows},
                              {"decode", decode},
                              {"encode", encode},
                              {"forward", forward},
                              {"train", train},
                              {"matmul", peak},
                              {"peak_mb", peak_memory_mb(at::kCPU)}};
  std::printf("%s\n", out.dump().c_str());
}

}  // namespace
}  // namespace rsm

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: rsm_network MODEL TYPE LATENT TEXT_TOKENS\n");
    return 2;
  }
  at::set_num_threads(1);
  rsm::run(argv[1], rsm::type_named(argv[2]), std::atoll(argv[3]),
           std::atoll(argv[4]));
}
