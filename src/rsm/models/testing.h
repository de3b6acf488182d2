#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "rsm/base/random.h"
#include "rsm/io/safetensors.h"
#include "rsm/models/lora.h"
#include "rsm/models/sd3_transformer.h"

/** What tests of networks share; no part of the library includes this. */
namespace rsm {

/** A network in float32 computes sums of a few dozen products; in another
 * order they differ by this share of the largest value. */
inline constexpr double kFloatTolerance = 1e-5;

/** Largest difference over the largest value of `b`; 0 for two zeros. */
inline double relative(const torch::Tensor& a, const torch::Tensor& b) {
  const auto largest = b.abs().max().clamp_min(1e-30);
  return ((a - b).abs().max() / largest).item<double>();
}

/** The name and size of the largest difference between gradients, over the
 * tensor's largest value or a thousandth of the largest of all: some, such as
 * that of a key's bias, or of keys that no query looks at, cancel to rounding
 * errors. */
inline std::pair<std::string, double> worst_gradient(const StateDict& found,
                                                     const StateDict& peer) {
  double floor = 0;
  for (const auto& [name, tensor] : found) {
    const auto& wanted = peer.at("grad." + name);
    floor = std::max(floor, 1e-3 * wanted.abs().max().item<double>());
  }
  std::pair<std::string, double> worst = {"", -1};
  for (const auto& [name, tensor] : found) {
    const auto& wanted = peer.at("grad." + name);
    const double scale = std::max(floor, wanted.abs().max().item<double>());
    const double gap = (tensor - wanted).abs().max().item<double>() / scale;
    if (!(gap <= worst.second)) worst = {name, gap};
  }
  return worst;
}

/** Numbers of a test's own; `index` tells them apart. */
inline torch::Tensor test_normal(uint64_t index, at::IntArrayRef shape) {
  return counted_normal(counted_seed(7, Purpose::bench, {index}), shape);
}

/** Gives every parameter normal numbers, so that no part of a network is
 * silent: those of matrices times `matrices`, those of vectors times `vectors`.
 * They are test_normal()'s, of the first parameter that of `index`. */
inline void fill(torch::nn::Module& network, uint64_t index, double matrices,
                 double vectors) {
  const torch::NoGradGuard no_grad;
  for (auto& p : network.parameters()) {
    p.copy_(test_normal(index++, p.sizes()) *
            (p.dim() > 1 ? matrices : vectors));
  }
}

/** Two blocks of width 24, the first with dual attention. */
inline Sd3Config small_sd3_config() {
  Sd3Config config;
  config.sample_size = 8;
  config.in_channels = 3;
  config.out_channels = 3;
  config.num_layers = 2;
  config.attention_head_dim = 8;
  config.num_attention_heads = 3;
  config.joint_attention_dim = 10;
  config.caption_projection_dim = 24;
  config.pooled_projection_dim = 12;
  config.pos_embed_max_size = 6;
  config.dual_attention_layers = {0};
  config.qk_rms_norm = true;
  return config;
}

inline Sd3Transformer random_sd3() {
  Sd3Transformer model(small_sd3_config());
  fill(*model, 100, 0.2, 0.5);
  return model;
}

/** Arguments of random_sd3's forward. */
inline StateDict sd3_inputs() {
  return {{"x", test_normal(1, {2, 3, 8, 8})},
          {"timestep", at::tensor({731.5F, 20.25F})},
          {"tokens", test_normal(2, {2, 5, 10})},
          {"pooled", test_normal(3, {2, 12})}};
}

/** On one core: the order of sums then does not depend on how busy others are.
 */
inline torch::Tensor velocity(Sd3Transformer& model) {
  at::set_num_threads(1);
  const auto in = sd3_inputs();
  return model->forward(in.at("x"), in.at("timestep"), in.at("tokens"),
                        in.at("pooled"));
}

inline LoraConfig small_lora() {
  LoraConfig config;
  config.rank = 8;
  config.alpha = 16;
  return config;
}

/** Gives every tensor of the adapter a value, B too. */
inline void randomise(LoraAdapter& adapter, uint64_t seed) {
  StateDict state;
  uint64_t index = 1000 * seed;
  for (const auto& [name, tensor] : adapter.state()) {
    state[name] = test_normal(index++, tensor.sizes()) * 0.3;
  }
  adapter.load_state(state);
}

}  // namespace rsm
