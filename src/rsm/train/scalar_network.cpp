#include "rsm/train/scalar_network.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/initial_values.h"
#include "rsm/models/loading.h"
#include "rsm/models/scalar_unet.h"
#include "rsm/runs/clip_gradients.h"
#include "rsm/runs/optimizer_state.h"
#include "rsm/runs/optimizer_step.h"

namespace rsm {
namespace {

/** A scorer sees whole pictures, often: it attends where there are fewest
 * tokens. */
UnetConfig config_of(ScalarNetwork::Of whose, const ScalarNetworkKnobs& knobs,
                     const NetworkModule& policy) {
  auto config = scalar_unet_config(policy.config_json().at("in_channels"),
                                   policy.condition_widths().first,
                                   knobs.channels, knobs.layers);
  if (whose == ScalarNetwork::Of::surrogate) {
    config.down_attention.assign(knobs.channels.size(), false);
    config.down_attention.back() = true;
  }
  return config;
}

/** Whether a parameter is the last of what is added to the way around it. */
bool ends_a_branch(const std::string& name) {
  return name.ends_with(".conv2.weight") || name.ends_with(".proj_out.weight");
}

}  // namespace

ScalarNetwork::ScalarNetwork(Of whose, const ScalarNetworkKnobs& knobs,
                             const NetworkModule& policy, uint64_t seed,
                             torch::Device device, const TileOptions& tiles)
    : owner_(whose == Of::flow ? "flow" : "surrogate"),
      max_grad_norm_(knobs.max_grad_norm) {
  const auto network = policy.scalar_network(config_of(whose, knobs, policy));
  network->to(device);
  const torch::NoGradGuard no_grad;
  for (const auto& item : network->named_parameters()) {
    const auto number = static_cast<uint64_t>(names_.size());
    set_initial_value(item.key(), item.value(),
                      counted_seed(seed, Purpose::model_init,
                                   {number, static_cast<uint64_t>(whose)}));
    // Else a first score is hundreds of the rewards' spread.
    if (whose == Of::surrogate && ends_a_branch(item.key())) {
      item.value().zero_();
    }
    names_.push_back(item.key());
    parameters_.push_back(item.value());
  }
  network_ = std::make_unique<GuidedNetwork>(network, Condition(),
                                             /*scale=*/1, tiles);
  optimiser_ = std::make_unique<torch::optim::AdamW>(
      parameters_,
      torch::optim::AdamWOptions(knobs.lr).weight_decay(knobs.weight_decay));
}

torch::Tensor ScalarNetwork::at(const torch::Tensor& x, const torch::Tensor& t,
                                const ConditionRows& conditions) {
  return network_->predict(x, t, conditions).flatten();
}

torch::Tensor ScalarNetwork::slope(const torch::Tensor& x,
                                   const torch::Tensor& t,
                                   const ConditionRows& conditions) {
  return network_->pull_back(x, t, conditions,
                             [](int64_t, int64_t, const torch::Tensor& y) {
                               return at::ones_like(y);
                             });
}

void ScalarNetwork::update(const torch::Tensor& x, const torch::Tensor& t,
                           const ConditionRows& conditions,
                           const torch::Tensor& loss_slope) {
  auto gradients = network_->gradients(
      x, t, conditions, parameters_,
      [&](int64_t first, int64_t count, const torch::Tensor& y) {
        return loss_slope.slice(0, first, first + count)
            .to(y.options())
            .view_as(y);
      });
  const torch::NoGradGuard no_grad;
  const double norm = clip_in_place(gradients, max_grad_norm_);
  RSM_CHECK(std::isfinite(norm), "[", owner_,
            "] the gradient of its network is not finite; lower "
            "estimator.",
            owner_, ".lr, or the size of what it learns from");
  step_along(*optimiser_, gradients);
}

StateDict ScalarNetwork::state() const {
  StateDict live, out;
  add_with_prefix(live, "network.", state_dict(*network_->network()));
  add_with_prefix(live, "adamw.", adamw_state(*optimiser_, names_));
  for (const auto& [name, tensor] : live) out[name] = tensor.clone();
  return out;
}

void ScalarNetwork::load_state(const StateDict& state) {
  load_parameters(*network_->network(), with_prefix(state, "network."),
                  cat("the network of the ", owner_));
  const auto moments = with_prefix(state, "adamw.");
  if (moments.empty()) optimiser_->state().clear();
  load_adamw_state(*optimiser_, names_, moments);
}

}  // namespace rsm
