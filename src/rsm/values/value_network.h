#pragma once

#include <torch/optim/adamw.h>

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/state_dict.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/lora.h"

namespace rsm {

/** What a value network is made of and computes with. */
struct ValueParts {
  Network model;      ///< before training; its weights are copied
  TileOptions tiles;  ///< of its calls
  bool activation_checkpointing = false;
};

/** g_phi: a network x [B,C,H,W], t [B], conditions -> [B,C,H,W] float32 of its
 * own weights, and the AdamW that trains them. It sees the prompts alone: no
 * text guidance. Times are not rounded to timesteps where it is a small UNet.
 */
class ValueNetwork {
 public:
  /** On the model's device. Initial weights are counted by `seed`. */
  ValueNetwork(const ValueKnobs& knobs, const ValueParts& parts, uint64_t seed);
  ~ValueNetwork();
  ValueNetwork(const ValueNetwork&) = delete;

  GuidedNetwork& outputs() { return *guided_; }

  /** What is trained, by name. */
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<torch::Tensor>& parameters() const { return parameters_; }

  /** dL/dphi of a loss whose gradient in the outputs at points is `slope`
   * [B,C,H,W]; the same bits whatever the number of workers. */
  std::vector<torch::Tensor> gradients(const torch::Tensor& x,
                                       const torch::Tensor& t,
                                       const ConditionRows& conditions,
                                       const torch::Tensor& slope);
  /** An AdamW step along them, scaled down to the largest norm. Returns the
   * norm before. Throws rsm::Error, having changed nothing, where it is not
   * finite. */
  double step(std::vector<torch::Tensor> gradients);

  /** Weights and moments, not copied; load_state() is the reverse, copies, and
   * throws rsm::Error naming what does not fit. */
  StateDict state() const;
  void load_state(const StateDict& state);

 private:
  ValueKnobs knobs_;
  Network network_;
  std::unique_ptr<LoraAdapter> adapter_;  // before what computes with it
  std::unique_ptr<GuidedNetwork> guided_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;
  std::unique_ptr<torch::optim::AdamW> optimiser_;
};

}  // namespace rsm
