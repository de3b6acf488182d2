#include "rsm/models/activation_memory.h"

#include <c10/core/Allocator.h>
#include <c10/util/ThreadLocalDebugInfo.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <optional>
#include <string>

#include "rsm/base/error.h"
#include "rsm/models/autoencoder_kl.h"
#include "rsm/models/sd3_transformer.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet.h"
#include "rsm/runs/machine.h"

namespace rsm {
namespace {

/** A count may miss what kernels hold for themselves, and counts what the first
 * block, before which nothing is trained, does not keep. */
constexpr double kTolerance = 0.12;

/** Counts what this thread asks LibTorch's allocator for. */
class Allocations : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, int64_t bytes, size_t, size_t,
                         c10::Device) override {
    held += bytes;
    most = std::max(most, held);
  }
  bool memoryProfilingEnabled() const override { return true; }

  int64_t held = 0, most = 0;
};

/** Measured of one call: what `work` holds at most, and what is left. */
template <typename Work>
std::pair<double, double> measured(const Work& work) {
  const auto count = std::make_shared<Allocations>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, count);
  const auto kept = work();
  return {static_cast<double>(count->most), static_cast<double>(count->held)};
}

void expect_near(double counted, double measured, const std::string& what) {
  EXPECT_NEAR(counted / measured, 1, kTolerance)
      << what << ": counted " << counted << ", measured " << measured;
}

/** Which layers are trained. */
struct Trained {
  std::string name;
  std::vector<std::string> targets;  ///< none: all weights
};

struct Asked {
  NetworkCall call;
  torch::Tensor x, t;
  Condition condition;
};

Asked asked(NetworkModule& network, int64_t rows, int64_t side,
            int64_t tokens) {
  const auto [width, pooled] = network.condition_widths();
  Asked out;
  out.call.rows = rows;
  out.call.height = out.call.width = side;
  out.call.text_tokens = tokens;
  auto shape = network.latent_shape(side, side);
  shape.insert(shape.begin(), rows);
  out.x = test_normal(1, shape);
  out.t = at::full({rows}, 0.5);
  out.condition.tokens = test_normal(2, {rows, tokens, width});
  if (pooled > 0) out.condition.pooled = test_normal(3, {rows, pooled});
  return out;
}

double bytes_of(const std::vector<torch::Tensor>& tensors) {
  double bytes = 0;
  for (const auto& tensor : tensors) bytes += tensor.nbytes();
  return bytes;
}

/** Compares what is counted of a network with what its calls hold. */
template <typename Config>
void compare(NetworkModule& network, const Config& config, Asked asked,
             const Trained& trained, torch::ScalarType type) {
  network.to(type);
  for (auto& p : network.parameters()) p.set_requires_grad(true);
  std::optional<LoraAdapter> adapter;
  auto parameters = network.parameters();
  LoraConfig lora;
  if (!trained.targets.empty()) {
    lora.rank = asked.call.rank = 4;
    lora.targets = trained.targets;
    adapter.emplace(network, lora, 1);
    parameters = adapter->parameters();
    asked.call.trains = [&](const std::string& layer) {
      return lora.all_linear() || lora_target_matches(layer, lora.targets);
    };
  }
  asked.call.bytes = at::elementSize(type);
  const auto counted = call_memory(config, asked.call);
  const auto predict = [&] {
    return network.predict(asked.x, asked.t, asked.condition);
  };
  const auto what = cat(network.part(), " ", trained.name, " ", type);
  {
    const torch::NoGradGuard no_grad;
    expect_near(counted.forward, measured(predict).first, what + " forward");
  }
  expect_near(counted.kept, measured(predict).second, what + " kept");
  if (!adapter) return;  // else there are gradients as large as the weights
  for (const bool checkpointed : {false, true}) {
    network.set_activation_checkpointing(checkpointed);
    const double most =
        measured([&] {
          const auto y = predict();
          return torch::autograd::grad({y}, parameters, {at::ones_like(y)},
                                       std::nullopt, false, true);
        }).first;
    expect_near(counted.training(checkpointed), most - bytes_of(parameters),
                cat(what, " training, checkpointed: ", checkpointed));
  }
  network.set_activation_checkpointing(false);
}

template <typename Config>
void compare_all(NetworkModule& network, const Config& config,
                 const Asked& asked,
                 const std::vector<std::string>& attention) {
  at::set_num_threads(1);
  compare(network, config, asked, {"all", {}}, torch::kFloat);
  compare(network, config, asked, {"linear", {kAllLinear}}, torch::kFloat);
  if (network.part() == "unet" && !has_fast_bfloat16()) {
    GTEST_SKIP() << "this CPU convolves no bfloat16: float32 alone is compared";
  }
  compare(network, config, asked, {"linear", {kAllLinear}}, torch::kBFloat16);
  compare(network, config, asked, {"attention", attention}, torch::kBFloat16);
}

TEST(ActivationMemory, OfTheTransformerIsWhatIsAllocated) {
  Sd3Config config;
  config.sample_size = 32;
  config.num_layers = 4;
  config.num_attention_heads = 3;
  config.caption_projection_dim = config.inner_dim();
  config.joint_attention_dim = 32;
  config.pooled_projection_dim = 32;
  config.pos_embed_max_size = 16;
  config.qk_rms_norm = true;
  config.dual_attention_layers = {0, 1};
  Sd3Transformer network(config);
  const torch::NoGradGuard no_grad;
  for (auto& p : network->parameters()) p.fill_(0.01);
  const at::AutoGradMode with_graph(true);
  compare_all(*network, config, asked(*network, 2, 32, 77), kSd3LoraTargets);
}

TEST(ActivationMemory, OfTheUnetIsWhatIsAllocated) {
  UnetConfig config;
  config.block_out_channels = {64, 128, 128};
  config.down_attention = {true, true, false};
  config.up_attention = {false, true, true};
  config.heads = {4, 4, 4};
  config.cross_attention_dim = 32;
  Unet network(config);
  const torch::NoGradGuard no_grad;
  for (auto& p : network->parameters()) p.fill_(0.01);
  const at::AutoGradMode with_graph(true);
  compare_all(*network, config, asked(*network, 2, 32, 77), kUnetLoraTargets);
}

TEST(ActivationMemory, OfDecodingIsWhatIsAllocated) {
  const torch::NoGradGuard no_grad;
  AutoencoderKlConfig config;
  config.block_out_channels = {32, 64, 64};
  config.layers_per_block = 2;
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    if (type == torch::kBFloat16 && !has_fast_bfloat16()) {
      GTEST_SKIP()
          << "this CPU convolves no bfloat16: float32 alone is compared";
    }
    AutoencoderKl autoencoder(config, AutoencoderModule::Ways::decoder);
    for (auto& p : autoencoder->parameters()) p.fill_(0.01);
    autoencoder->to(type);
    const auto latents = test_normal(1, {1, 4, 32, 24}).to(type);
    expect_near(decoding_memory(config, 32, 24, at::elementSize(type)),
                measured([&] { return autoencoder->decode(latents); }).first,
                cat("decoder ", type));
  }
}

/** Measured of an output's gradient in its input. */
template <typename Work>
double measured_gradient(const torch::Tensor& input, const Work& work) {
  const at::AutoGradMode with_graph(true);
  const auto leaf = input.detach().requires_grad_(true);
  return measured([&] {
           const auto y = work(leaf);
           return torch::autograd::grad({y}, {leaf}, {at::ones_like(y)});
         })
      .first;
}

template <typename Module>
void freeze(Module& module, torch::ScalarType type) {
  const torch::NoGradGuard no_grad;
  for (auto& p : module->parameters()) p.fill_(0.01).set_requires_grad(false);
  module->to(type);
}

TEST(ActivationMemory, OfADecodersGradientIsWhatIsAllocated) {
  at::set_num_threads(1);
  AutoencoderKlConfig config;
  config.block_out_channels = {32, 64, 64};
  config.layers_per_block = 2;
  for (const auto type : {torch::kFloat, torch::kBFloat16}) {
    AutoencoderKl autoencoder(config, AutoencoderModule::Ways::decoder);
    freeze(autoencoder, type);
    expect_near(decoding_gradient_memory(config, 32, 24, at::elementSize(type)),
                measured_gradient(test_normal(1, {1, 4, 32, 24}).to(type),
                                  [&](const torch::Tensor& z) {
                                    return autoencoder->decode(z);
                                  }),
                cat("decoder's gradient ", type));
  }
}

TEST(ActivationMemory, OfAVisionTowersGradientIsWhatIsAllocated) {
  at::set_num_threads(1);
  for (const std::string activation : {"quick_gelu", "gelu"}) {
    ClipVisionConfig config;
    config.hidden_size = 64;
    config.intermediate_size = 256;
    config.num_hidden_layers = 6;
    config.num_attention_heads = 4;
    config.projection_dim = 32;
    config.image_size = 96;
    config.patch_size = 8;
    config.hidden_act = activation;
    ClipVisionModel tower(config);
    freeze(tower, torch::kFloat);
    expect_near(vision_gradient_memory(config, 8, 4),
                measured_gradient(test_normal(1, {8, 3, 96, 96}),
                                  [&](const torch::Tensor& pixels) {
                                    return tower->forward(pixels).image_embeds;
                                  }),
                activation);
  }
}

}  // namespace
}  // namespace rsm
