#pragma once

#include <torch/optim/adamw.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rsm/base/scalar_network_knobs.h"
#include "rsm/estimators/learnt_scalar.h"
#include "rsm/models/guided_network.h"

namespace rsm {

/** A policy's scalar_network() (models/network.h) and its AdamW, tile by tile
 * as the policy is trained: threads change no bit. */
class ScalarNetwork : public LearntScalar {
 public:
  /** Whose it is; counts its first weights. A surrogate's attends at its last
   * level alone, and begins as if its residual branches were none. */
  enum class Of : uint64_t { flow = 1, surrogate = 2 };

  /** Of a policy's latents and prompts, computed on a device. First weights are
   * counted by `seed`. */
  ScalarNetwork(Of whose, const ScalarNetworkKnobs& knobs,
                const NetworkModule& policy, uint64_t seed,
                torch::Device device, const TileOptions& tiles);

  torch::Tensor at(const torch::Tensor& x, const torch::Tensor& t,
                   const ConditionRows& conditions) override;
  torch::Tensor slope(const torch::Tensor& x, const torch::Tensor& t,
                      const ConditionRows& conditions) override;
  void update(const torch::Tensor& x, const torch::Tensor& t,
              const ConditionRows& conditions,
              const torch::Tensor& loss_slope) override;

  /** "network.NAME" and "adamw.NAME.*". */
  StateDict state() const override;
  void load_state(const StateDict& state) override;

 private:
  std::string owner_;  ///< for errors
  double max_grad_norm_;
  std::unique_ptr<GuidedNetwork> network_;  ///< without guidance
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;
  std::unique_ptr<torch::optim::AdamW> optimiser_;
};

}  // namespace rsm
