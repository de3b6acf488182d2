#include "rsm/models/vae.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/sharded.h"
#include "rsm/models/autoencoder_kl.h"
#include "rsm/models/autoencoder_tiny.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

using nlohmann::json;
using Ways = AutoencoderModule::Ways;

constexpr const char* kKl = "AutoencoderKL";
constexpr const char* kTiny = "AutoencoderTiny";

/** An autoencoder of a folder's config, whose sizes are those of its weights.
 * No memory is touched. */
template <typename Config, typename Module>
Autoencoder empty_of(const json& config, const std::string& path,
                     const std::string& folder) {
  const auto read = Config::from_json(config, path);
  check_shapes(read.anchors(), read_sharded_shapes(folder, kDiffusersWeights),
               folder);
  return std::make_shared<Module>(read);
}

Autoencoder empty_autoencoder(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const json config = read_python_json(path);
  std::string name;
  const JsonFields fields(config, "[Vae] " + path);
  fields.check("_class_name", fields.has("_class_name"),
               cat(kKl, " or ", kTiny));
  fields.choice("_class_name", name, {kKl, kTiny});
  return name == kKl ? empty_of<AutoencoderKlConfig, AutoencoderKlImpl>(
                           config, path, folder)
                     : empty_of<AutoencoderTinyConfig, AutoencoderTinyImpl>(
                           config, path, folder);
}

/** Views of a folder's weights, which are all that `empty` needs. */
StateDict checked_weights(const AutoencoderModule& empty,
                          const std::string& folder) {
  auto weights =
      autoencoder_kl_names(view_sharded(folder, kDiffusersWeights).tensors);
  // Copies into shapes without numbers: no weight is read.
  StateDict shapes;
  for (const auto& [name, tensor] : state_dict(empty)) {
    shapes[name] = tensor.to(at::kMeta);
  }
  copy_tensors(shapes, weights, folder);
  return weights;
}

/** Never trained; convolutions' weights as oneDNN and cuDNN like them best. */
Autoencoder frozen(Autoencoder autoencoder) {
  for (auto& weight : autoencoder->parameters()) {
    weight.set_requires_grad(false);
    if (weight.dim() != 4) continue;
    weight.set_data(weight.contiguous(at::MemoryFormat::ChannelsLast));
  }
  return autoencoder;
}

/** The autoencoder's part of these weights. */
void load_own(AutoencoderModule& autoencoder, StateDict weights,
              const std::string& who) {
  const auto own = state_dict(autoencoder);
  std::erase_if(weights,
                [&](const auto& entry) { return !own.contains(entry.first); });
  load_parameters(autoencoder, weights, who);
}

}  // namespace

Autoencoder load_autoencoder(const std::string& folder, Ways ways) {
  const auto whole = empty_autoencoder(folder);
  const auto weights = checked_weights(*whole, folder);
  const auto loaded = whole->fresh(ways);
  load_own(*loaded, weights, folder);
  return frozen(loaded);
}

LatentSpace check_vae(const std::string& folder) {
  const auto empty = empty_autoencoder(folder);
  checked_weights(*empty, folder);
  return empty->space();
}

std::shared_ptr<Vae> Vae::load(const std::string& folder) {
  return std::make_shared<Vae>(load_autoencoder(folder, Ways::decoder));
}

std::shared_ptr<Vae> Vae::to(torch::Device device,
                             torch::ScalarType type) const {
  if (type == at::kHalf && autoencoder_->overflows_in_float16()) {
    type = at::kFloat;
  }
  if (device == this->device() && type == this->type()) {
    return std::make_shared<Vae>(autoencoder_, limits_);
  }
  const auto copy = autoencoder_->fresh(Ways::decoder);
  copy->to(device, type);
  load_own(*copy, state_dict(*autoencoder_), "Vae");
  return std::make_shared<Vae>(frozen(copy), limits_);
}

std::shared_ptr<Vae> Vae::with_limits(const VaeLimits& limits) const {
  RSM_CHECK(limits.slice >= 1 && limits.tile_above >= 0 && limits.workers >= 1,
            "[Vae] slices of ", limits.slice, ", tiles above ",
            limits.tile_above, ", ", limits.workers,
            " workers arrived; at least 1, 0 and 1 are needed");
  return std::make_shared<Vae>(autoencoder_, limits);
}

torch::Tensor Vae::decoded(
    const torch::Tensor& latents,
    const std::function<torch::Tensor(const torch::Tensor&)>& finish) const {
  autoencoder_->check_latents(latents);
  const auto space = autoencoder_->space();
  const bool tiled =
      limits_.tile_above > 0 &&
      std::max(latents.size(2), latents.size(3)) > limits_.tile_above;
  const auto wide = at::promote_types(type(), at::kFloat);
  const int64_t all = latents.size(0), slice = limits_.slice;
  std::vector<torch::Tensor> slices((all + slice - 1) / slice);
  const bool gradients = at::GradMode::is_enabled();
  run_jobs(std::ssize(slices), limits_.workers, [&](int64_t call) {
    const at::AutoGradMode mode(gradients);  // of each thread its own
    const int64_t first = call * slice;
    const int64_t count = std::min(slice, all - first);
    auto z = latents.narrow(0, first, count).to(device(), wide);
    z = z / space.scaling_factor + space.shift_factor;
    if (count < slice) {
      auto missing = z.sizes().vec();
      missing[0] = slice - count;
      z = at::cat({z, at::zeros(missing, z.options())});
    }
    z = z.to(type());
    const auto y =
        tiled ? autoencoder_->decode_tiled(z) : autoencoder_->decode(z);
    slices[call] = finish((y.narrow(0, 0, count) + 1) / 2);
  });
  return at::cat(slices);
}

torch::Tensor Vae::decode(const torch::Tensor& latents) const {
  const torch::NoGradGuard no_grad;
  return decoded(latents, [](const torch::Tensor& y) {
    return y.to(at::kFloat).clamp(0, 1).to(at::kCPU).contiguous();
  });
}

torch::Tensor Vae::pictures(const torch::Tensor& latents) const {
  return decoded(latents, [](const torch::Tensor& y) { return y; });
}

torch::ScalarType Vae::type() const {
  return autoencoder_->parameters().front().scalar_type();
}

torch::Device Vae::device() const {
  return autoencoder_->parameters().front().device();
}

}  // namespace rsm
