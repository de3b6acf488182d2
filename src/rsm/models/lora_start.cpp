#include "rsm/models/lora_start.h"

#include "rsm/base/error.h"
#include "rsm/io/printable.h"
#include "rsm/models/lora_formats.h"

namespace rsm {
namespace {

constexpr const char* kWeight = ".weight";

/** Throws where a layer of the network cannot have this pair. */
void check_fit(const LoraPair& pair, const StateDict& weights,
               const std::string& who) {
  const auto found = weights.find(pair.module + kWeight);
  RSM_CHECK(found != weights.end(), who, "layer \"", shown(pair.module),
            "\" is none of the model's; a LoRA of this model is needed");
  const auto& weight = found->second;
  RSM_CHECK(weight.dim() == 2, who, "layer \"", shown(pair.module),
            "\" is a convolution of the model (weight of shape ",
            weight.sizes(), "); only LoRAs of linear layers go on training",
            kFuseFirst);
  const std::vector<int64_t> shape = {pair.up.size(0), pair.down.size(1)};
  RSM_CHECK(weight.sizes() == shape, who, "layer \"", shown(pair.module),
            "\" is for a weight of shape ", at::IntArrayRef(shape),
            "; the model's has ", weight.sizes(),
            ": a LoRA of this model is needed");
}

}  // namespace

std::vector<std::string> adapted_layers(const LoraConfig& config,
                                        const StateDict& weights) {
  std::vector<std::string> layers;
  for (const auto& [name, weight] : weights) {
    if (!name.ends_with(kWeight) || weight.dim() != 2) continue;
    const std::string layer = name.substr(0, name.rfind('.'));
    if ((config.all_linear() || lora_target_matches(layer, config.targets)) &&
        !lora_target_matches(layer, config.exclude)) {
      layers.push_back(layer);
    }
  }
  return layers;
}

LoraFile load_lora_start(const std::string& path, const std::string& part,
                         const StateDict& weights) {
  auto file = load_lora(path, part, weights);
  const auto who = cat("[LoRA] ", path, ": ");
  std::vector<std::string> layers;
  for (const auto& pair : lora_pairs(file.tensors, file.config.rank, path)) {
    check_fit(pair, weights, who);
    layers.push_back(pair.module);
  }
  if (adapted_layers(file.config, weights) != layers) {
    file.config.targets = layers;
    file.config.exclude.clear();
  }
  return file;
}

}  // namespace rsm
