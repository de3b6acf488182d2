#include "rsm/values/value_network.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/loading.h"
#include "rsm/runs/clip_gradients.h"
#include "rsm/runs/optimizer_state.h"
#include "rsm/runs/optimizer_step.h"

namespace rsm {
namespace {

using Kind = ValueKnobs::Kind;

/** Weights of the variance of PyTorch's defaults, norms that change nothing. */
void initialise(torch::nn::Module& network, uint64_t seed) {
  const torch::NoGradGuard no_grad;
  uint64_t number = 0;
  for (const auto& item : network.named_parameters()) {
    const auto& p = item.value();
    ++number;
    if (p.dim() > 1) {
      const auto inputs = static_cast<double>(p[0].numel());
      p.copy_(counted_normal(counted_seed(seed, Purpose::model_init, {number}),
                             p.sizes()) /
              std::sqrt(3 * inputs));
    } else {
      p.fill_(item.key().ends_with("weight") ? 1 : 0);
    }
  }
}

/** For the model's latents and tokens. */
Network small_network(const std::vector<int64_t>& channels,
                      const NetworkModule& model, uint64_t seed) {
  auto network = model.small_network(channels);
  initialise(*network, seed);
  return network;
}

/** Beginnings of names of a network's last layer. */
const char* last_layer(const NetworkModule& network) {
  return network.part() == "unet" ? "conv_out." : "proj_out.";
}

}  // namespace

ValueNetwork::ValueNetwork(const ValueKnobs& knobs, const ValueParts& parts,
                           uint64_t seed)
    : knobs_(knobs) {
  const auto device = parts.model->parameters().front().device();
  network_ = knobs.kind == Kind::small
                 ? small_network(knobs.channels, *parts.model, seed)
                 : copy_of(parts.model, at::kFloat, device);
  network_->to(device, at::kFloat);
  network_->set_activation_checkpointing(parts.activation_checkpointing);
  std::vector<std::pair<std::string, torch::Tensor>> last;
  for (const auto& p : network_->named_parameters()) {
    if (p.key().starts_with(last_layer(*network_))) {
      p.value().detach().mul_(knobs.output_scale);
      last.emplace_back(p.key(), p.value());
    }
  }
  if (knobs.kind == Kind::lora) {
    LoraConfig config;
    config.rank = knobs.rank;
    config.alpha = static_cast<double>(knobs.rank);
    config.targets = kUnetLoraTargets;
    for (auto& p : network_->parameters()) p.requires_grad_(false);
    adapter_ = std::make_unique<LoraAdapter>(*network_, config, seed);
    names_ = adapter_->names();
    parameters_ = adapter_->parameters();
    for (auto& [name, value] : last) {
      names_.push_back(name);
      parameters_.push_back(value.requires_grad_(true));
    }
  } else {
    for (const auto& p : network_->named_parameters()) {
      names_.push_back(p.key());
      parameters_.push_back(p.value().requires_grad_(true));
    }
  }
  guided_ = std::make_unique<GuidedNetwork>(network_, Condition{}, /*scale=*/1,
                                            parts.tiles);
  optimiser_ = std::make_unique<torch::optim::AdamW>(
      parameters_,
      torch::optim::AdamWOptions(knobs.lr).weight_decay(knobs.weight_decay));
}

ValueNetwork::~ValueNetwork() = default;

std::vector<torch::Tensor> ValueNetwork::gradients(
    const torch::Tensor& x, const torch::Tensor& t,
    const ConditionRows& conditions, const torch::Tensor& slope) {
  const at::AutoGradMode enabled(true);
  return guided_->gradients(
      x, t, conditions, parameters_,
      [&](int64_t first, int64_t count, const torch::Tensor& y) {
        return slope.slice(0, first, first + count).to(y.device());
      });
}

double ValueNetwork::step(std::vector<torch::Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  const double norm = clip_in_place(gradients, knobs_.max_grad_norm);
  RSM_CHECK(std::isfinite(norm),
            "[value network] its gradient is not finite; lower "
            "gradient.value.lr (",
            knobs_.lr, ") or strength.scale");
  step_along(*optimiser_, gradients);
  return norm;
}

StateDict ValueNetwork::state() const {
  StateDict out;
  for (size_t i = 0; i < names_.size(); ++i) {
    out["weights." + names_[i]] = parameters_[i].detach();
  }
  add_with_prefix(out, "adamw.", adamw_state(*optimiser_, names_));
  return out;
}

void ValueNetwork::load_state(const StateDict& state) {
  StateDict own;
  for (size_t i = 0; i < names_.size(); ++i) {
    own[names_[i]] = parameters_[i].detach();
  }
  copy_tensors(own, with_prefix(state, "weights."), "value network");
  optimiser_->state().clear();
  load_adamw_state(*optimiser_, names_, with_prefix(state, "adamw."));
}

}  // namespace rsm
