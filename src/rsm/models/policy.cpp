#include "rsm/models/policy.h"

#include "rsm/base/error.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_start.h"

namespace rsm {

/** A network with a copy's weights in place of the training copy's. */
class Policy::View : public Denoiser {
 public:
  View(Policy& policy, Copy which, GuidedNetwork& network)
      : policy_(policy), which_(which), network_(network) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& conditions) override {
    const Swap swap(policy_, weights());
    return network_.predict(x, t, conditions);
  }
  torch::Tensor pull_back(const torch::Tensor& x, const torch::Tensor& t,
                          const ConditionRows& conditions,
                          const OutputGradient& output_gradient) override {
    const Swap swap(policy_, weights());
    return network_.pull_back(x, t, conditions, output_gradient);
  }

 private:
  /** The weights are the training copy's again whatever happens. */
  class Swap {
   public:
    Swap(Policy& policy, Copy which) : policy_(policy), which_(which) {
      exchange();
    }
    ~Swap() { exchange(); }
    Swap(const Swap&) = delete;

   private:
    void exchange() {
      if (which_ == Copy::training) return;
      const auto found = policy_.values_.find(which_);
      if (found == policy_.values_.end()) {  // the LoRA's absence
        policy_.adapter_->set_enabled(!policy_.adapter_->enabled());
        return;
      }
      for (size_t i = 0; i < policy_.names_.size(); ++i) {
        auto& other = found->second.at(policy_.names_[i]);
        auto parameter = policy_.parameters_[i];
        const auto own = parameter.detach();
        parameter.set_data(other);
        other = own;
      }
    }

    Policy& policy_;
    Copy which_;
  };

  /** Whose weights it has. */
  Copy weights() const {
    switch (which_) {
      case Copy::rollout:
      case Copy::evaluation:
        return policy_.sampled_with_;
      case Copy::guided_reference:
        return policy_.values_.contains(which_) ? which_ : Copy::reference;
      default:
        return which_;
    }
  }

  Policy& policy_;
  Copy which_;
  GuidedNetwork& network_;
};

Policy::Policy(const Network& network, const Condition& unconditional,
               const PolicyOptions& options)
    : options_(options) {
  const auto guided = [&](const Network& copy, double scale,
                          const TileOptions& tiles) {
    return std::make_shared<GuidedNetwork>(
        copy, unconditional.to(options.device), scale, tiles);
  };
  if (!options.rollout_is_training()) {
    rollout_ = guided(copy_of(network, options.rollout_type, options.device),
                      options.guidance_scale, options.rollout_tiles);
  }
  network->to(options.device, options.training_type);
  network->set_activation_checkpointing(options.activation_checkpointing);
  training_ = guided(network, options.training_scale(), options.train_tiles);
  if (options.stop_unconditional) training_->stop_unconditional();
  if (options.lora) {
    for (auto& p : network->parameters()) {
      p.requires_grad_(false);
    }
    adapter_ =
        std::make_unique<LoraAdapter>(*network, *options.lora, options.seed);
    if (!options.lora_from.empty()) {
      adapter_->load_state(load_lora_start(options.lora_from, network->part(),
                                           state_dict(*network))
                               .tensors);
    }
    names_ = adapter_->names();
    parameters_ = adapter_->parameters();
    if (options.reference_has_lora) values_[Copy::reference] = trainable();
  } else {
    for (const auto& p : network->named_parameters()) {
      names_.push_back(p.key());
      parameters_.push_back(p.value());
    }
    values_[Copy::reference] = trainable();
  }
  values_[Copy::average] = trainable();
  if (!rollout_) rollout_ = training_;
  for (const Copy which : {Copy::rollout, Copy::reference, Copy::average}) {
    views_[which] = std::make_unique<View>(*this, which, *training_);
  }
  if (options.evaluation_guidance_scale) {
    evaluation_ =
        guided(rollout_->network(), *options.evaluation_guidance_scale,
               options.rollout_tiles);
    views_[Copy::evaluation] =
        std::make_unique<View>(*this, Copy::evaluation, *evaluation_);
  }
  if (options.has_old) {
    values_[Copy::old] = trainable();
    views_[Copy::old] = std::make_unique<View>(*this, Copy::old, *training_);
  }
  if (options.reference_guidance_scale) {
    guided_reference_ =
        guided(network, *options.reference_guidance_scale, options.train_tiles);
    views_[Copy::guided_reference] = std::make_unique<View>(
        *this, Copy::guided_reference, *guided_reference_);
  }
  sample_with(Copy::training);
}

Policy::~Policy() = default;

Denoiser& Policy::copy(Copy which) {
  if (which == Copy::training) return *training_;
  if (which == Copy::evaluation && !evaluation_) which = Copy::rollout;
  if (!rollout_is_training()) {
    if (which == Copy::rollout) return *rollout_;
    if (which == Copy::evaluation) return *evaluation_;
  }
  return *views_.at(which);
}

void Policy::watch(const Progress* progress) {
  training_->watch(progress);
  rollout_->watch(progress);
  if (evaluation_) evaluation_->watch(progress);
  if (guided_reference_) guided_reference_->watch(progress);
}

void Policy::share(Communicator* ranks) {
  training_->share(ranks);
  rollout_->share(ranks);
  if (evaluation_) evaluation_->share(ranks);
  if (guided_reference_) guided_reference_->share(ranks);
}

StateDict Policy::trainable() const {
  StateDict values;
  for (size_t i = 0; i < names_.size(); ++i) {
    values[names_[i]] = parameters_[i].detach().clone();
  }
  return values;
}

void Policy::load_trainable(const StateDict& values) {
  const torch::NoGradGuard no_grad;
  for (size_t i = 0; i < names_.size(); ++i) {
    const auto found = values.find(names_[i]);
    RSM_CHECK(found != values.end() &&
                  found->second.sizes() == parameters_[i].sizes(),
              "[Policy] no fitting values for \"", names_[i],
              "\"; they come from a run with another model or LoRA");
    parameters_[i].detach().copy_(found->second);
  }
}

void Policy::load_average(const StateDict& values) {
  copy_tensors(values_.at(Copy::average), values, "Policy, average");
}

void Policy::load_old(const StateDict& values) {
  copy_tensors(values_.at(Copy::old), values, "Policy, old");
}

void Policy::reset_reference() {
  RSM_CHECK(guided_reference_,
            "[Policy] a reset of a reference that is the model before "
            "training; give it a guidance scale of its own");
  values_[Copy::guided_reference] = trainable();
}

StateDict Policy::reset_weights() const {
  const auto found = values_.find(Copy::guided_reference);
  return found == values_.end() ? StateDict() : found->second;
}

void Policy::load_reset(const StateDict& values) {
  reset_reference();
  copy_tensors(values_.at(Copy::guided_reference), values, "Policy, reference");
}

void Policy::update_average(double decay) { update(Copy::average, decay); }

void Policy::update_old(double decay) { update(Copy::old, decay); }

void Policy::update(Copy which, double decay) {
  for (size_t i = 0; i < names_.size(); ++i) {
    values_.at(which).at(names_[i]).lerp_(parameters_[i].detach(), 1 - decay);
  }
}

StateDict with_trained(const Network& network, const StateDict& trained) {
  auto weights = state_dict(*network);
  for (const auto& [name, value] : trained) {
    weights[name] = value;
  }
  return weights;
}

void Policy::sample_with(Copy which) {
  sampled_with_ = which;
  if (rollout_is_training()) return;
  const auto values = which == Copy::training ? trainable() : values_.at(which);
  const auto& network = training_->network();
  if (options_.lora) {
    load_merged(*rollout_->network(), state_dict(*network), values,
                *options_.lora);
  } else {
    load_parameters(*rollout_->network(), with_trained(network, values),
                    "Policy");
  }
}

}  // namespace rsm
