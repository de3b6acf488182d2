#include "rsm/judges/affine_head.h"

#include <charconv>
#include <map>
#include <string_view>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/judges/judge_files.h"

namespace rsm {
namespace {

constexpr std::string_view kWeight = "weight";
constexpr std::string_view kLayers = "layers.";

/** "layers.4." and 4 of "layers.4.weight", "" and 0 of "weight"; -1 for what is
 * no weight of a layer. */
std::pair<std::string, int64_t> layer_of(std::string_view name) {
  if (name == kWeight) return {"", 0};
  if (!name.starts_with(kLayers) || !name.ends_with(kWeight)) return {"", -1};
  const auto prefix = name.substr(0, name.size() - kWeight.size());
  const auto digits = prefix.substr(kLayers.size());
  int64_t number = -1;
  const auto end =
      std::from_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  const bool right = end + 1 == digits.data() + digits.size() && *end == '.';
  return {std::string(prefix), right ? number : -1};
}

}  // namespace

AffineHead AffineHead::load(const std::string& who, const std::string& path,
                            int64_t width, torch::Device device) {
  refuse_pickle(who, path);
  RSM_CHECK(is_file(path), "[", who, "] there is no head ", path,
            "; docs/rewards.md says how to get it");
  const auto tensors = read_safetensors(path).tensors;
  std::map<int64_t, std::string> prefixes;
  for (const auto& [name, tensor] : tensors) {
    const auto [prefix, number] = layer_of(name);
    if (number >= 0) prefixes[number] = prefix;
  }
  RSM_CHECK(!prefixes.empty() && tensors.size() == 2 * prefixes.size(), "[",
            who, "] ", path, " has ", tensors.size(),
            " tensors; layers.N.weight and layers.N.bias of some N are needed, "
            "or weight and bias");
  AffineHead head;
  int64_t in = width;
  for (const auto& [number, prefix] : prefixes) {
    const auto& weight = tensors.at(cat(prefix, kWeight));
    const auto bias = tensors.find(prefix + "bias");
    const bool fits = bias != tensors.end() && weight.dim() == 2 &&
                      weight.size(1) == in && weight.size(0) > 0 &&
                      bias->second.sizes() == weight.sizes().slice(0, 1);
    RSM_CHECK(fits, "[", who, "] ", path, ": ", prefix, kWeight, " is ",
              weight.sizes(), "; [N,", in, "] is needed, and ", prefix,
              "bias of [N]");
    in = weight.size(0);
    head.layers_.push_back(
        {weight.to(device, at::kFloat), bias->second.to(device, at::kFloat)});
  }
  RSM_CHECK(in == 1, "[", who, "] ", path, ": the last layer gives ", in,
            " numbers; one, the rating, is needed");
  return head;
}

torch::Tensor AffineHead::operator()(const torch::Tensor& features) const {
  auto x = features;
  for (const auto& [weight, bias] : layers_) x = at::linear(x, weight, bias);
  return x.squeeze(1);
}

}  // namespace rsm
