#include "rsm/models/lora.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/layers/linear.h"
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

/** "; did it mean ...?" with the ending among `names` that looks most like
 * `word`, or what an ending is. */
std::string nearest_ending(const std::string& word,
                           const std::vector<std::string>& names) {
  const int64_t parts = 1 + std::count(word.begin(), word.end(), '.');
  std::set<std::string> endings;
  for (const auto& name : names) {
    endings.insert(ending(name, parts));
  }
  const auto near = nearest_word(word, {endings.begin(), endings.end()});
  return near.empty() ? "; an ending of a layer's name is needed, "
                        "such as \"" +
                            ending(names.front(), 2) + "\""
                      : "; did it mean \"" + near + "\"?";
}

using Layers = std::map<std::string, std::shared_ptr<Adaptable>>;

/** Chooses layers of a model as a config says. */
class LayerChoice {
 public:
  LayerChoice(const torch::nn::Module& model, const LoraConfig& config)
      : config_(config) {
    for (const auto& item : model.named_modules("", false)) {
      add(item.key(), std::dynamic_pointer_cast<Adaptable>(item.value()));
    }
  }

  Layers layers() const {
    if (!config_.all_linear()) {
      auto names = linear_names_;
      names.insert(names.end(), other_names_.begin(), other_names_.end());
      check_used(config_.targets, "target", "of the model", names);
    }
    std::vector<std::string> adapted(excluded_.begin(), excluded_.end());
    for (const auto& [name, layer] : layers_) adapted.push_back(name);
    check_used(config_.exclude, "exclude", "that is adapted", adapted);
    RSM_CHECK(!layers_.empty(),
              "[LoraAdapter] exclude leaves no layer to adapt; exclude less");
    return layers_;
  }

 private:
  void add(const std::string& name, const std::shared_ptr<Adaptable>& layer) {
    const bool linear = std::dynamic_pointer_cast<LinearImpl>(layer) != nullptr;
    if (layer) (linear ? linear_names_ : other_names_).push_back(name);
    bool wanted = config_.all_linear() && linear;
    for (const auto& target : config_.targets) {
      if (!lora_target_matches(name, {target})) continue;
      RSM_CHECK(layer || lora_target_matches(name, config_.exclude),
                "[LoraAdapter] target \"", target, "\" matches \"", name,
                "\", which is no linear layer and no convolution; name such "
                "layers only");
      used_.insert(target);
      wanted = true;
    }
    for (const auto& word : config_.exclude) {
      if (!wanted || !lora_target_matches(name, {word})) continue;
      used_.insert(word);
      excluded_.insert(name);
    }
    if (wanted && !excluded_.contains(name)) layers_[name] = layer;
  }

  void check_used(const std::vector<std::string>& words, const char* kind,
                  const char* which,
                  const std::vector<std::string>& names) const {
    for (const auto& word : words) {
      RSM_CHECK(used_.contains(word), "[LoraAdapter] ", kind, " \"", word,
                "\" matches no layer ", which, nearest_ending(word, names));
    }
  }

  const LoraConfig& config_;
  std::vector<std::string> linear_names_, other_names_;  ///< of layers
  std::set<std::string> used_, excluded_;
  Layers layers_;
};

/** Hands every weight of `base` that the LoRA changes to `take`, changed. */
template <typename Take>
void for_each_merged(const StateDict& base, const StateDict& lora,
                     const LoraConfig& config, const Take& take) {
  const torch::NoGradGuard no_grad;
  for (const auto& pair : lora_pairs(lora, config.rank, "merged")) {
    const std::string name = pair.module + ".weight";
    const auto found = base.find(name);
    RSM_CHECK(found != base.end(), "[merged] the model has no tensor \"", name,
              "\"; the LoRA is of another model");
    const auto& weight = found->second;
    const std::vector<int64_t> shape = {pair.up.size(0), pair.down.size(1)};
    const auto matrix = weight.dim() == 4 ? weight.flatten(1) : weight;
    RSM_CHECK(matrix.sizes() == shape, "[merged] tensor \"", name,
              "\" has shape ", weight.sizes(), "; the LoRA asks for ",
              at::IntArrayRef(shape));
    const auto like = weight.options().dtype(at::kFloat);
    take(name, at::addmm(matrix.to(like), pair.up.to(like), pair.down.to(like),
                         1, config.scale())
                   .view(weight.sizes()));
  }
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
    RSM_CHECK(target != kAllLinear || all_linear(), "[LoraConfig] target \"",
              kAllLinear,
              "\" stands beside others; it means every linear layer and "
              "stands alone");
  }
  for (const auto& word : exclude) {
    RSM_CHECK(!word.empty(),
              "[LoraConfig] a text in exclude is empty; they are endings of "
              "layer names");
  }
}

bool LoraConfig::all_linear() const {
  return targets.size() == 1 && targets[0] == kAllLinear;
}

bool lora_target_matches(const std::string& module_name,
                         const std::vector<std::string>& targets) {
  return std::any_of(targets.begin(), targets.end(), [&](const auto& target) {
    return module_name == target || module_name.ends_with("." + target);
  });
}

std::vector<int64_t> lora_down_shape(const torch::Tensor& weight,
                                     int64_t rank) {
  auto shape = weight.sizes().vec();
  shape[0] = rank;
  return shape;
}

std::vector<int64_t> lora_up_shape(const torch::Tensor& weight, int64_t rank) {
  std::vector<int64_t> shape(weight.dim(), 1);
  shape[0] = weight.size(0);
  shape[1] = rank;
  return shape;
}

std::vector<LoraPair> lora_pairs(const StateDict& lora, int64_t rank,
                                 const std::string& who) {
  std::map<std::string, LoraPair> pairs;
  for (const auto& [name, tensor] : lora) {
    const bool down = name.ends_with(kDown);
    RSM_CHECK(down || name.ends_with(kUp), "[", who, "] tensor \"", name,
              "\" is no part of a LoRA; names end with ", kDown, " or ", kUp);
    const bool is_half = tensor.dim() == 2 || tensor.dim() == 4;
    const auto half = is_half ? tensor.flatten(1) : tensor;
    const int64_t own_rank = is_half ? half.size(down ? 0 : 1) : -1;
    RSM_CHECK(own_rank == rank || (rank == kRankByLayer && own_rank > 0), "[",
              who, "] tensor \"", name, "\" has shape ", tensor.sizes(), "; ",
              down ? "[rank,in]" : "[out,rank]", " with rank ", rank,
              " is needed");
    const std::string module =
        name.substr(0, name.size() - std::string(down ? kDown : kUp).size());
    auto& pair = pairs[module];
    pair.module = module;
    (down ? pair.down : pair.up) = half;
  }
  std::vector<LoraPair> out;
  for (const auto& [module, pair] : pairs) {
    RSM_CHECK(pair.down.defined() && pair.up.defined(), "[", who, "] tensor \"",
              module, pair.down.defined() ? kUp : kDown,
              "\" is missing; its other half is there");
    RSM_CHECK(pair.down.size(0) == pair.up.size(1), "[", who, "] layer \"",
              module, "\" has halves of the ranks ", pair.down.size(0), " and ",
              pair.up.size(1), "; they must be the same");
    out.push_back(pair);
  }
  return out;
}

StateDict merged(const StateDict& base, const StateDict& lora,
                 const LoraConfig& config) {
  StateDict out = base;
  for_each_merged(base, lora, config,
                  [&](const std::string& name, const torch::Tensor& weight) {
                    out[name] = weight;
                  });
  return out;
}

void load_merged(torch::nn::Module& model, const StateDict& base,
                 const StateDict& lora, const LoraConfig& config) {
  load_parameters(model, base, "load_merged");
  const auto own = state_dict(model);
  for_each_merged(base, lora, config,
                  [&](const std::string& name, const torch::Tensor& weight) {
                    own.at(name).copy_(weight);
                  });
}

LoraAdapter::LoraAdapter(torch::nn::Module& model, const LoraConfig& config,
                         uint64_t seed)
    : model_(model), config_(config) {
  config.check();
  const auto layers = LayerChoice(model, config).layers();
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
    auto down = counted_normal(own, lora_down_shape(weight, config.rank));
    down = (down / static_cast<double>(config.rank)).to(options);
    auto up = at::zeros(lora_up_shape(weight, config.rank), options);
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
  enabled_ = enabled;
  for (const auto& [name, layer] : layers_) {
    layer->lora.enabled = enabled;
  }
}

StateDict LoraAdapter::merged() const {
  return rsm::merged(state_dict(model_), state(), config_);
}

}  // namespace rsm
