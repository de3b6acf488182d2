#include "rsm/models/loading.h"

#include <torch/csrc/autograd/generated/variable_factories.h>
#include <torch/cuda.h>

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

namespace {

void check_shape(const std::string& who, const std::string& name,
                 at::IntArrayRef found, at::IntArrayRef needed) {
  RSM_CHECK(found == needed, "[", who, "] tensor \"", name, "\" has shape ",
            found, "; the model's config asks for ", needed);
}

void check_is_there(bool there, const std::string& who,
                    const std::string& name) {
  RSM_CHECK(there, "[", who, "] tensor \"", name,
            "\" is missing; the model needs it");
}

}  // namespace

void check_shapes(const TensorShapes& needed, const TensorShapes& found,
                  const std::string& who) {
  for (const auto& [name, shape] : needed) {
    const auto own = found.find(name);
    check_is_there(own != found.end(), who, name);
    check_shape(who, name, own->second, shape);
  }
}

namespace {

/** Throws unless the names and shapes are the same. */
void check_same(const StateDict& to, const StateDict& from,
                const std::string& who) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : to) {
    names.push_back(name);
    const auto found = from.find(name);
    check_is_there(found != from.end(), who, name);
    check_shape(who, name, found->second.sizes(), tensor.sizes());
  }
  for (const auto& [name, tensor] : from) {
    if (to.contains(name)) continue;
    const std::string near = nearest_word(name, names);
    throw Error(cat("[", who, "] tensor \"", name,
                    "\" is not part of the model",
                    near.empty() ? "" : "; did it mean \"" + near + "\"?"));
  }
}

}  // namespace

void copy_tensors(const StateDict& to, const StateDict& from,
                  const std::string& who) {
  check_same(to, from, who);
  const torch::NoGradGuard no_grad;
  for (const auto& [name, tensor] : to) {
    tensor.copy_(from.at(name));
  }
}

void load_parameters(torch::nn::Module& module, const StateDict& weights,
                     const std::string& who) {
  copy_tensors(state_dict(module), weights, who);
}

void adopt_parameters(torch::nn::Module& module, const StateDict& weights,
                      const std::string& who) {
  check_same(state_dict(module), weights, who);
  for (auto& item : module.named_parameters()) {
    item.value().set_data(weights.at(item.key()));
  }
  for (auto& item : module.named_buffers()) {
    item.value().set_data(weights.at(item.key()));
  }
}

StateDict converted(const StateDict& weights, torch::ScalarType type) {
  StateDict out;
  for (const auto& [name, tensor] : weights) {
    out[name] = tensor.is_floating_point() ? tensor.to(type) : tensor;
  }
  return out;
}

std::vector<std::string> type_names() {
  return {"float32", "bfloat16", "float16"};
}

torch::ScalarType type_named(const std::string& name) {
  if (name == "float32") return torch::kFloat32;
  if (name == "bfloat16") return torch::kBFloat16;
  if (name == "float16") return torch::kFloat16;
  throw UsageError(cat("[type] ", unknown_word(name, type_names())));
}

torch::Device device_named(const std::string& name) {
  try {
    const torch::Device device(name);
    if (device.is_cuda() || (device.is_cpu() && !device.has_index())) {
      return device;
    }
  } catch (const c10::Error&) {
  }
  throw UsageError(cat("[device] \"", name,
                       "\" is no device; cpu, cuda and cuda:N are allowed"));
}

void require_device(torch::Device device) {
  if (device.is_cpu()) return;
  const int64_t count = torch::cuda::is_available()
                            ? static_cast<int64_t>(torch::cuda::device_count())
                            : 0;
  if (count == 0) {
    throw UsageError(cat("[device] ", device.str(), " was asked for, and ",
                         at::hasCUDA()
                             ? "no GPU is found (does nvidia-smi show one?)"
                             : "this build's LibTorch is for the CPU only",
                         "; use cpu, or a machine and LibTorch with CUDA"));
  }
  if (device.index() >= count) {
    throw UsageError(cat("[device] ", device.str(), " was asked for, and ",
                         count,
                         " GPUs are found; the last is cuda:", count - 1));
  }
}

}  // namespace rsm
