#include "rsm/models/loading.h"

#include <torch/csrc/autograd/generated/variable_factories.h>

#include <vector>

#include "rsm/base/error.h"

namespace rsm {

StateDict state_dict(const torch::nn::Module& module) {
  StateDict out;
  for (const auto& item : module.named_parameters()) {
    out[item.key()] = item.value().detach();
  }
  for (const auto& item : module.named_buffers()) {
    out[item.key()] = item.value();
  }
  return out;
}

void load_parameters(torch::nn::Module& module, const StateDict& weights,
                     const std::string& who) {
  const torch::NoGradGuard no_grad;
  const StateDict own = state_dict(module);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : own) {
    names.push_back(name);
    const auto found = weights.find(name);
    RSM_CHECK(found != weights.end(), "[", who, "] tensor \"", name,
              "\" is missing; the model needs it");
    RSM_CHECK(found->second.sizes() == tensor.sizes(), "[", who, "] tensor \"",
              name, "\" has shape ", found->second.sizes(),
              "; the model's config asks for ", tensor.sizes());
  }
  for (const auto& [name, tensor] : weights) {
    RSM_CHECK(own.count(name) > 0, "[", who, "] tensor \"", name,
              "\" is not part of the model",
              nearest_word(name, names).empty()
                  ? ""
                  : cat("; did it mean \"", nearest_word(name, names), "\"?"));
  }
  for (const auto& [name, tensor] : own) {
    tensor.copy_(weights.at(name));
  }
}

StateDict converted(const StateDict& weights, torch::ScalarType type) {
  StateDict out;
  for (const auto& [name, tensor] : weights) {
    out[name] = tensor.is_floating_point() ? tensor.to(type) : tensor;
  }
  return out;
}

}  // namespace rsm
