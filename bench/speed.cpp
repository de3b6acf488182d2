// How close rollouts and updates come to the machine's matrix products, and
// where the rest of the time goes.
//
//   cmake --build build --target rsm_speed && build/rsm_speed [MODEL]
//
// Every core runs its own calls, as in a fine-tuning run.

#include <ATen/Version.h>
#include <ATen/record_function.h>
#include <torch/torch.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <mutex>
#include <thread>

#include "rsm/base/clock.h"
#include "rsm/base/random.h"
#include "rsm/base/workers.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/image_model.h"
#include "rsm/models/policy.h"
#include "rsm/models/sd3_transformer.h"
#include "timing.h"

namespace rsm {
namespace {

constexpr int kRounds = 5;      ///< the best of so many counts
constexpr int64_t kCalls = 24;  ///< a round's network calls on each core
constexpr int64_t kMatrix = 1024;

int64_t cores() {
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

/** bfloat16 only where the CPU has products of it: others take it apart, and a
 * measurement of minutes tells nothing. */
std::vector<torch::ScalarType> measured_types() {
  const auto capability = at::get_cpu_capability();
  if (capability == "AVX2" || capability == "DEFAULT") {
    std::printf("bfloat16 left out: this CPU (%s) has no products of it\n",
                capability.c_str());
    return {torch::kFloat32};
  }
  return {torch::kFloat32, torch::kBFloat16};
}

/** Floating-point operations a second in large square products, all cores. */
double matmul_peak(torch::ScalarType type) {
  constexpr int64_t kProducts = 4;
  const torch::NoGradGuard no_grad;
  const auto a = counted_normal(1, {kMatrix, kMatrix}).to(type);
  const double seconds = best_seconds(kRounds, [&] {
    run_jobs(cores() * kProducts, cores(), [&](int64_t) { at::mm(a, a); });
  });
  return 2.0 * kMatrix * kMatrix * kMatrix * kProducts *
         static_cast<double>(cores()) / seconds;
}

/** Multiplications and additions of the matrix products of one evaluation of
 * one sample: layers by their weights and tokens, attention by its tokens. */
double forward_flops(const ImageModel& model, const Condition& condition) {
  const auto& config =
      dynamic_cast<const Sd3TransformerImpl&>(*model.network).config();
  const double side = static_cast<double>(config.sample_size) /
                      static_cast<double>(config.patch_size);
  const double image = side * side;
  const auto text = static_cast<double>(condition.tokens.size(1));
  double flops = 0;
  for (const auto& item : model.network->named_parameters()) {
    const auto& p = item.value();
    if (p.dim() < 2) continue;
    const auto& name = item.key();
    const auto has = [&](const char* part) {
      return name.find(part) != std::string::npos;
    };
    const double tokens =
        has("norm1") || has("norm_out") || has("time_text")  ? 1
        : has("context") || has("add_") || has("to_add_out") ? text
                                                             : image;
    flops += 2 * tokens * static_cast<double>(p.numel());
  }
  const double joint = image + text;
  return flops + 4 * joint * joint * static_cast<double>(config.inner_dim()) *
                     static_cast<double>(config.num_layers);
}

/** Time in each operator, without the operators it calls, over all threads. */
class Profile {
 public:
  void start() {
    current_ = this;
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(&Profile::enter, &Profile::leave)
            .scopes({at::RecordScope::FUNCTION}));
  }
  void stop() { at::removeCallback(handle_); }

  void print(double wall) const {
    std::vector<std::pair<double, std::string>> rows;
    for (const auto& [name, seconds] : seconds_) {
      rows.emplace_back(seconds, name);
    }
    std::sort(rows.rbegin(), rows.rend());
    const double total = wall * static_cast<double>(cores());
    double shown = 0;
    for (size_t i = 0; i < rows.size() && i < 12; ++i) {
      std::printf("    %5.1f %%  %s\n", 100 * rows[i].first / total,
                  rows[i].second.c_str());
      shown += rows[i].first;
    }
    std::printf("    %5.1f %%  everything else, and waiting\n",
                100 * (1 - shown / total));
  }

 private:
  struct Frame : at::ObserverContext {
    Clock clock;
    double children = 0;
    Frame* parent = nullptr;
  };

  static std::unique_ptr<at::ObserverContext> enter(const at::RecordFunction&) {
    auto frame = std::make_unique<Frame>();
    frame->parent = top_;
    top_ = frame.get();
    return frame;
  }
  static void leave(const at::RecordFunction& function,
                    at::ObserverContext* context) {
    auto* frame = static_cast<Frame*>(context);
    const double seconds = frame->clock.seconds();
    top_ = frame->parent;
    if (top_ != nullptr) top_->children += seconds;
    const std::lock_guard lock(current_->mutex_);
    current_->seconds_[function.name()] += seconds - frame->children;
  }

  static inline thread_local Frame* top_ = nullptr;
  static inline Profile* current_ = nullptr;
  at::CallbackHandle handle_ = 0;
  std::mutex mutex_;
  std::map<std::string, double> seconds_;
};

/** What a run's networks do with `rows` samples. */
struct Workload {
  ImageModel model;
  Condition condition;
  torch::Tensor x, t;
  int64_t tile;

  Workload(const std::string& folder, int64_t tile_size)
      : model(ImageModel::load(folder)), tile(tile_size) {
    const int64_t rows = tile * cores() * kCalls;
    auto shape = model.latent_shape();
    shape.insert(shape.begin(), rows);
    x = counted_normal(2, shape);
    t = at::full({rows}, 0.7);
    condition =
        model.text->encode(std::vector<std::string>(rows, "a red circle"));
  }

  Policy policy(torch::ScalarType type) const {
    PolicyOptions options;
    options.lora = LoraConfig();
    options.rollout_type = type;
    options.rollout_tiles = {.tile = tile, .workers = cores()};
    options.train_tiles = options.rollout_tiles;
    return {copy_of(model.network, at::kFloat, at::kCPU),
            model.text->encode({""}), options};
  }
};

void report(const std::string& name, double flops, double peak,
            const Workload& load, const std::function<void()>& work) {
  const double seconds = best_seconds(kRounds, work);
  const auto rows = static_cast<double>(load.x.size(0));
  std::printf("%s: %.0f samples/s, %.1f GFLOP/s, %.0f %% of the peak\n",
              name.c_str(), rows / seconds, flops * rows / seconds / 1e9,
              100 * flops * rows / seconds / peak);
  Profile profile;
  profile.start();
  const Clock clock;
  work();
  const double wall = clock.seconds();
  profile.stop();
  profile.print(wall);
}

void measure(const std::string& folder) {
  at::set_num_threads(1);
  std::printf("%lld cores, %s\n", static_cast<long long>(cores()),
              folder.c_str());
  const auto types = measured_types();
  std::map<torch::ScalarType, double> peak;
  for (const auto type : types) {
    peak[type] = matmul_peak(type);
    std::printf("peak of %s matrix products: %.1f GFLOP/s\n",
                c10::toString(type), peak[type] / 1e9);
  }
  for (const int64_t tile : {8, 16, 32}) {
    const Workload load(folder, tile);
    const double flops = forward_flops(load.model, load.condition);
    std::printf("\ntile %lld, %.0f MFLOP a forward pass\n",
                static_cast<long long>(tile), flops / 1e6);
    for (const auto type : types) {
      auto policy = load.policy(type);
      report(
          std::string("rollout, ") + c10::toString(type), flops, peak[type],
          load, [&] {
            policy.copy(Copy::rollout).predict(load.x, load.t, load.condition);
          });
    }
    auto policy = load.policy(torch::kFloat32);
    // Backward through frozen weights: products with the weights once, those
    // for the LoRA's own gradients are small.
    report("update, LoRA, Float", 2 * flops, peak[torch::kFloat32], load, [&] {
      policy.trained_network().gradients(
          load.x, load.t, load.condition, policy.parameters(),
          [](int64_t, int64_t, const torch::Tensor& y) { return y; });
    });
  }
}

}  // namespace
}  // namespace rsm

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a line as soon as it is known
  rsm::measure(argc > 1 ? argv[1] : "models/shapes-flow");
  return 0;
}
