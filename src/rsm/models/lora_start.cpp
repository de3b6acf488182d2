#include "rsm/models/lora_start.h"

#include "rsm/base/error.h"
#include "rsm/io/printable.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_formats.h"

namespace rsm {
namespace {

constexpr const char* kWeight = ".weight";

bool is_convolution(const torch::Tensor& weight) { return weight.dim() == 4; }

/** The weight of the network that the pair is for. Throws where there is none
 * or it is another one. */
torch::Tensor weight_for(const LoraPair& pair, const StateDict& weights,
                         const std::string& who) {
  const auto found = weights.find(pair.module + kWeight);
  RSM_CHECK(found != weights.end(), who, "layer \"", shown(pair.module),
            "\" is none of the model's; a LoRA of this model is needed");
  const auto& weight = found->second;
  const auto matrix = is_convolution(weight) ? weight.flatten(1) : weight;
  const std::vector<int64_t> shape = {pair.up.size(0), pair.down.size(1)};
  RSM_CHECK(matrix.sizes() == shape, who, "layer \"", shown(pair.module),
            "\" is for a weight of shape ", at::IntArrayRef(shape),
            "; the model's has ", weight.sizes(),
            ": a LoRA of this model is needed");
  return weight;
}

}  // namespace

std::vector<std::string> adapted_layers(const LoraConfig& config,
                                        const StateDict& weights) {
  std::vector<std::string> layers;
  for (const auto& [name, weight] : weights) {
    const bool linear = weight.dim() == 2;
    if (!name.ends_with(kWeight) || !(linear || is_convolution(weight))) {
      continue;
    }
    const std::string layer = name.substr(0, name.rfind('.'));
    const bool wanted = config.all_linear()
                            ? linear
                            : lora_target_matches(layer, config.targets);
    if (wanted && !lora_target_matches(layer, config.exclude)) {
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
    const auto weight = weight_for(pair, weights, who);
    const int64_t rank = file.config.rank;
    file.tensors[pair.module + ".lora_A.weight"] =
        pair.down.reshape(lora_down_shape(weight, rank));
    file.tensors[pair.module + ".lora_B.weight"] =
        pair.up.reshape(lora_up_shape(weight, rank));
    layers.push_back(pair.module);
  }
  if (adapted_layers(file.config, weights) != layers) {
    file.config.targets = layers;
    file.config.exclude.clear();
  }
  return file;
}

Network with_lora(const Network& network, const std::string& path,
                  torch::ScalarType type, torch::Device device) {
  const auto weights = state_dict(*network);
  const auto lora = load_lora_start(path, network->part(), weights);
  auto out = network->fresh();
  out->to(device, type);
  load_merged(*out, weights, lora.tensors, lora.config);
  for (auto& p : out->parameters()) p.requires_grad_(false);
  return out;
}

}  // namespace rsm
