// One network at the size of its folder: seconds of a forward, of a forward and
// backward with a LoRA, of decoding, and of encoding texts, of two pictures a
// core, or of eight on a GPU.
//
//   cmake --build build --target rsm_network
//   build/rsm_network MODEL TYPE LATENT TEXT_TOKENS TEXTS DEVICE
//
// (see bench/networks). Prints one JSON object. Every core runs its own calls,
// as in a run.

#include <torch/cuda.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
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
constexpr int64_t kT5Tokens = 128;

/** Where it is measured, and with how many pictures. */
struct Machine {
  torch::Device device;
  int64_t workers = 1;
  int64_t tile = 8;       // pictures of a call
  int64_t matrix = 8192;  // rows of the products that tell the peak

  int64_t pictures() const { return tile * workers; }

  /** Seconds of the fastest call; a GPU's are over when it is idle. */
  template <typename Work>
  double seconds(const Work& work) const {
    return best_seconds(kRounds, [&] {
      work();
      if (device.is_cuda()) torch::cuda::synchronize(device.index());
    });
  }
};

Machine machine_of(torch::Device device) {
  if (!device.is_cpu()) return {device};
  return {device, std::max<int64_t>(1, std::thread::hardware_concurrency()), 2,
          2048};
}

/** Floating-point operations a second in square products, all cores. */
double matmul_peak(torch::ScalarType type, const Machine& on) {
  const torch::NoGradGuard no_grad;
  const int64_t n = on.matrix;
  const auto a = counted_normal(1, {n, n}).to(on.device, type);
  const double seconds = on.seconds([&] {
    run_jobs(on.workers, on.workers, [&](int64_t) { at::mm(a, a); });
  });
  return 2.0 * std::pow(n, 3) * static_cast<double>(on.workers) / seconds;
}

/** Seconds of a forward, and of a forward and backward with a LoRA. */
void time_network(Network& network, int64_t side, int64_t text_tokens,
                  const Machine& on, nlohmann::json& out) {
  network->to(on.device);
  for (auto& p : network->parameters()) p.requires_grad_(false);
  LoraConfig lora;
  lora.rank = 32;
  lora.alpha = 64;
  lora.targets = {"to_q", "to_k", "to_v", "to_out.0"};
  LoraAdapter adapter(*network, lora, 1);
  const auto [width, pooled] = network->condition_widths();
  const int64_t rows = on.pictures();
  const auto noise = [&](uint64_t seed, at::IntArrayRef shape) {
    return counted_normal(seed, shape).to(on.device);
  };
  const Condition condition = {
      noise(2, {rows, text_tokens, width}),
      pooled > 0 ? noise(3, {rows, pooled}) : torch::Tensor()};
  TileOptions tiles;
  tiles.tile = on.tile;
  tiles.workers = on.workers;
  GuidedNetwork guided(network, condition, 1, tiles);
  const auto x = noise(4, {rows, network->latent_shape()[0], side, side});
  const auto t = at::full({rows}, 0.5, x.options());
  adapter.set_enabled(false);  // merged, as rollouts have it
  out["forward"] = on.seconds([&] { guided.predict(x, t, condition); });
  const auto x_host = x.cpu(), t_host = t.cpu();  // as a run's states lie
  out["from_host"] =
      on.seconds([&] { guided.predict(x_host, t_host, condition); });
  adapter.set_enabled(true);
  out["train"] = on.seconds([&] {
    guided.gradients(x, t, condition, adapter.parameters(),
                     [](int64_t, int64_t, const torch::Tensor& y) {
                       return at::ones_like(y);
                     });
  });
}

void run(const std::string& folder, torch::ScalarType type, int64_t side,
         int64_t text_tokens, bool texts, torch::Device device) {
  const Machine on = machine_of(device);
  nlohmann::json out = {{"matmul", matmul_peak(type, on)},
                        {"pictures", on.pictures()}};
  ModelOptions options;
  options.device = options.text.device = device;
  options.network_type = options.vae_type = type;
  options.vae_workers = on.workers;
  options.text.type = type;
  options.text.t5_tokens = kT5Tokens;
  auto model = ImageModel::load(folder, options);
  const int64_t channels = model.network->latent_shape()[0];
  time_network(model.network, side, text_tokens, on, out);
  if (!device.is_cpu()) out["peak_mb"] = peak_memory_mb(device);
  model.network = {};  // what comes next has the memory for itself
  const auto x =
      counted_normal(4, {on.pictures(), channels, side, side}).to(device);
  out["decode"] = on.seconds([&] { model.decoder->decode(x); });
  if (texts) {
    std::vector<std::string> lines;
    for (int64_t i = 0; i < on.pictures(); ++i) {
      lines.push_back(cat("two red clocks and a cup left of them, ", i));
    }
    at::set_num_threads(static_cast<int>(on.workers));  // as when a run begins
    out["encode"] = on.seconds([&] { model.text->encode(lines); });
  }
  if (device.is_cpu()) out["peak_mb"] = peak_memory_mb(device);
  std::printf("%s\n", out.dump().c_str());
}

}  // namespace
}  // namespace rsm

int main(int argc, char** argv) {
  if (argc != 7) {
    std::fprintf(stderr,
                 "usage: rsm_network MODEL TYPE LATENT TEXT_TOKENS "
                 "TEXTS DEVICE\n");
    return 2;
  }
  at::set_num_threads(1);
  rsm::run(argv[1], rsm::type_named(argv[2]), std::atoll(argv[3]),
           std::atoll(argv[4]), std::string(argv[5]) == "1",
           rsm::device_named(argv[6]));
}
