#include "rsm/models/lora.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

constexpr const char* kDown = ".lora_A.weight";
constexpr const char* kUp = ".lora_B.weight";

/** The last `parts` dotted parts of a name, or all where it has fewer. */
std::string ending(const std::string& name, int64_t parts) {
  size_t from = std::string::npos;
  for (int64_t i = 0; i < parts; ++i) {
    if (from == 0) return name;
    from = name.rfind('.', from == std::string::npos ? from : from - 1);
    if (from == std::string::npos) return name;
  }
  return name.substr(from + 1);
}

/** The ending among `names` that looks most like `target`, or "". */
std::string nearest_ending(const std::string& target,
                           const std::vector<std::string>& names) {
  const int64_t parts = 1 + std::count(target.begin(), target.end(), '.');
  std::set<std::string> endings;
  for (const auto& name : names) {
    endings.insert(ending(name, parts));
  }
  return nearest_word(target, {endings.begin(), endings.end()});
}

/** All Linear layers that a target names, by name. */
std::map<std::string, std::shared_ptr<LinearImpl>> targeted_layers(
    const torch::nn::Module& model, const LoraConfig& config) {
  std::map<std::string, std::shared_ptr<LinearImpl>> layers;
  std::set<std::string> used;
  std::vector<std::string> linear_names;
  for (const auto& item : model.named_modules("", false)) {
    const std::string& name = item.key();
    auto layer = std::dynamic_pointer_cast<LinearImpl>(item.value());
    if (layer) linear_names.push_back(name);
    for (const auto& target : config.targets) {
      if (!lora_target_matches(name, {target})) continue;
      RSM_CHECK(layer, "[LoraAdapter] target \"", target, "\" matches \"", name,
                "\", which is no linear layer; name linear layers only");
      used.insert(target);
      layers[name] = layer;
    }
  }
  for (const auto& target : config.targets) {
    const std::string near = nearest_ending(target, linear_names);
    RSM_CHECK(used.contains(target), "[LoraAdapter] target \"", target,
              "\" matches no layer of the model",
              near.empty()
                  ? "; targets are endings of layer names, such as \"" +
                        ending(linear_names.front(), 2) + "\""
                  : "; did it mean \"" + near + "\"?");
  }
  return layers;
}

}  // namespace

void LoraConfig::check() const {
  RSM_CHECK(rank >= 1, "[LoraConfig] rank is ", rank, "; at least 1 is needed");
  RSM_CHECK(std::isfinite(alpha), "[LoraConfig] alpha is ", alpha,
            "; a finite number is needed");
  RSM_CHECK(!targets.empty(),
            "[LoraConfig] there are no targets; name at least one layer");
  for (const auto& target : targets) {
    RSM_CHECK(!target.empty(),
              "[LoraConfig] a target is empty; targets are "
              "endings of layer names");
    RSM_CHECK(target != "all-linear",
              "[LoraConfig] target \"all-linear\" is not supported; name the "
              "layers by their endings");
  }
}

bool lora_target_matches(const std::string& module_name,
                         const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const auto& target) {
    return module_name == target || module_name.ends_with("." + target);
  });
}

std::vector<LoraPair> lora_pairs(const StateDict& lora, int64_t rank,
                                 const std::string& who) {
  std::map<std::string, LoraPair> pairs;
  for (const auto& [name, tensor] : lora) {
    const bool down = name.ends_with(kDown);
    RSM_CHECK(down || name.ends_with(kUp), "[", who, "] tensor \"", name,
              "\" is no part of a LoRA; names end with ", kDown, " or ", kUp);
    const int64_t own_rank = tensor.dim() == 2 ? tensor.size(down ? 0 : 1) : -1;
    RSM_CHECK(own_rank == rank, "[", who, "] tensor \"", name, "\" has shape ",
              tensor.sizes(), "; ", down ? "[rank,in]" : "[out,rank]",
              " with rank ", rank, " is needed");
    const std::string module =
        name.substr(0, name.size() - std::string(down ? kDown : kUp).size());
    auto& pair = pairs[module];
    pair.module = module;
    (down ? pair.down : pair.up) = tensor;
  }
  std::vector<LoraPair> out;
  for (const auto& [module, pair] : pairs) {
    RSM_CHECK(pair.down.defined() && pair.up.defined(), "[", who, "] tensor \"",
              module, pair.down.defined() ? kUp : kDown,
              "\" is missing; its other half is there");
    out.push_back(pair);
  }
  return out;
}

StateDict merged(const StateDict& base, const StateDict& lora,
                 const LoraConfig& config) {
  const torch::NoGradGuard no_grad;
  StateDict out = base;
  for (const auto& pair : lora_pairs(lora, config.rank, "merged")) {
    const auto found = out.find(pair.module + ".weight");
    RSM_CHECK(found != out.end(), "[merged] the model has no tensor \"",
              pair.module, ".weight\"; the LoRA is of another model");
    auto& weight = found->second;
    const std::vector<int64_t> shape = {pair.up.size(0), pair.down.size(1)};
    RSM_CHECK(weight.sizes() == shape, "[merged] tensor \"", found->first,
              "\" has shape ", weight.sizes(), "; the LoRA asks for ",
              at::IntArrayRef(shape));
    const auto like = weight.options().dtype(at::kFloat);
    weight = at::addmm(weight.to(like), pair.up.to(like), pair.down.to(like), 1,
                       config.scale());
  }
  return out;
}

LoraAdapter::LoraAdapter(torch::nn::Module& model, const LoraConfig& config,
                         uint64_t seed)
    : model_(model), config_(config) {
  config.check();
  const auto layers = targeted_layers(model, config);
  for (const auto& [name, layer] : layers) {
    RSM_CHECK(!layer->lora.down.defined(), "[LoraAdapter] layer \"", name,
              "\" has an adapter already; detach that one first");
  }
  for (const auto& parameter : model.parameters()) {
    parameter.requires_grad_(false);
  }
  uint64_t index = 0;
  for (const auto& [name, layer] : layers) {
    const auto& weight = layer->weight;
    const uint64_t own = counted_seed(seed, Purpose::lora_init, {index++});
    const auto options = weight.options().dtype(at::kFloat);
    auto down = counted_normal(own, {config.rank, weight.size(1)});
    down = (down / static_cast<double>(config.rank)).to(options);
    auto up = at::zeros({weight.size(0), config.rank}, options);
    layer->lora = {down.requires_grad_(true), up.requires_grad_(true),
                   config.scale(), true};
    layers_.emplace_back(name, layer);
    names_.push_back(name + kDown);
    names_.push_back(name + kUp);
  }
}

LoraAdapter::~LoraAdapter() {
  for (const auto& [name, layer] : layers_) {
    layer->lora = LowRank();
  }
}

std::vector<torch::Tensor> LoraAdapter::parameters() const {
  std::vector<torch::Tensor> out;
  for (const auto& [name, layer] : layers_) {
    out.push_back(layer->lora.down);
    out.push_back(layer->lora.up);
  }
  return out;
}

StateDict LoraAdapter::state() const {
  StateDict out;
  for (const auto& [name, layer] : layers_) {
    out[name + kDown] = layer->lora.down.detach();
    out[name + kUp] = layer->lora.up.detach();
  }
  return out;
}

void LoraAdapter::load_state(const StateDict& state) {
  copy_tensors(this->state(), state, "LoraAdapter");
}

void LoraAdapter::set_enabled(bool enabled) {
  for (const auto& [name, layer] : layers_) {
    layer->lora.enabled = enabled;
  }
}

StateDict LoraAdapter::merged() const {
  return rsm::merged(state_dict(model_), state(), config_);
}

}  // namespace rsm
