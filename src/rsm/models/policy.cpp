#include "rsm/models/policy.h"

#include "rsm/base/error.h"
#include "rsm/models/loading.h"

namespace rsm {

/** The training copy with its LoRA switched off. */
class Policy::FrozenView : public Denoiser {
 public:
  FrozenView(std::shared_ptr<GuidedNetwork> flow, LoraAdapter& adapter)
      : flow_(std::move(flow)), adapter_(adapter) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override {
    const Off off(adapter_);
    return flow_->predict(x, t, condition);
  }

 private:
  /** The adapter is on again whatever happens. */
  struct Off {
    explicit Off(LoraAdapter& one) : adapter(one) { one.set_enabled(false); }
    ~Off() { adapter.set_enabled(true); }
    Off(const Off&) = delete;
    Off& operator=(const Off&) = delete;
    LoraAdapter& adapter;
  };

  std::shared_ptr<GuidedNetwork> flow_;
  LoraAdapter& adapter_;
};

Policy::Policy(const ImageModel& model, const PolicyOptions& options)
    : options_(options) {
  const auto unconditional = model.encode({""}).to(options.device);
  const auto guided = [&](const Network& network, const TileOptions& tiles) {
    return networks_.emplace_back(std::make_shared<GuidedNetwork>(
        network, unconditional, options.guidance_scale, tiles));
  };
  auto network = copy_of(model.network, torch::kFloat32, options.device);
  training_ = guided(network, options.train_tiles);
  if (options.lora) {
    for (auto& p : network->parameters()) {
      p.requires_grad_(false);
    }
    adapter_ =
        std::make_unique<LoraAdapter>(*network, *options.lora, options.seed);
    names_ = adapter_->names();
    parameters_ = adapter_->parameters();
    reference_ = std::make_shared<FrozenView>(training_, *adapter_);
  } else {
    for (const auto& p : network->named_parameters()) {
      names_.push_back(p.key());
      parameters_.push_back(p.value());
    }
    reference_ = guided(copy_of(model.network, torch::kFloat32, options.device),
                        options.train_tiles);
  }
  if (options.rollout_is_training()) {
    rollout_ = training_;
  } else {
    auto sampler = copy_of(model.network, options.rollout_type, options.device);
    sampler->set_fast(true);
    rollout_ = guided(sampler, options.rollout_tiles);
  }
  refresh_rollout();
}

Policy::~Policy() = default;

void Policy::watch(const Progress* progress) {
  for (const auto& network : networks_) {
    network->watch(progress);
  }
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

StateDict with_trained(const Network& network, const StateDict& trained,
                       const std::optional<LoraConfig>& lora) {
  auto weights = state_dict(*network);
  if (lora) {
    return merged(weights, trained, *lora);
  }
  for (const auto& [name, value] : trained) {
    weights[name] = value;
  }
  return weights;
}

void Policy::refresh_rollout() {
  if (!rollout_is_training()) {
    load_parameters(
        *rollout_->network(),
        with_trained(training_->network(), trainable(), options_.lora),
        "Policy");
  }
}

}  // namespace rsm
