#include "rsm/verify/world_network.h"

#include <numbers>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/initial_values.h"
#include "rsm/verify/exact_denoiser.h"

namespace rsm::verify {
namespace {

constexpr int64_t kWidth = 64;
constexpr int64_t kWaves = 3;
/** Of a time: signal, noise, and so many sines and cosines. */
constexpr int64_t kTimeFeatures = 2 + 2 * kWaves;
constexpr int64_t kConditionWidth = 8;

/** [B,kTimeFeatures] */
torch::Tensor time_features(const torch::Tensor& t, const torch::Tensor& signal,
                            const torch::Tensor& noise) {
  std::vector<torch::Tensor> out = {signal, noise};
  const auto angle = t.to(signal.options()) * std::numbers::pi;
  for (int64_t wave = 1; wave <= kWaves; ++wave) {
    out.push_back((angle * static_cast<double>(wave)).sin());
    out.push_back((angle * static_cast<double>(wave)).cos());
  }
  return at::stack(out, 1);
}

}  // namespace

PointNetworkImpl::PointNetworkImpl(std::shared_ptr<const Path> path,
                                   int64_t points, int64_t outputs)
    : path_(std::move(path)), points_(points), outputs_(outputs) {
  proj_in_ = register_module("proj_in", Linear(points + kTimeFeatures, kWidth));
  hidden_ = register_module("hidden", Linear(kWidth, kWidth));
  proj_out_ = register_module("proj_out", Linear(kWidth, outputs));
}

torch::Tensor PointNetworkImpl::predict(const torch::Tensor& x,
                                        const torch::Tensor& t,
                                        const Condition& /*condition*/) {
  RSM_CHECK(
      x.dim() == 4 && x.sizes().slice(1) == at::IntArrayRef(latent_shape()),
      "[verify] latents ", x.sizes(), " arrived; [B,", points_,
      ",1,1] are needed");
  const auto points = x.flatten(1);
  const auto [signal, noise] = shares_at(*path_, t, points);
  const auto features = at::cat({points, time_features(t, signal, noise)}, 1);
  const auto inner = at::silu(hidden_(at::silu(proj_in_(features))));
  return proj_out_(inner).view({-1, outputs_, 1, 1});
}

Network PointNetworkImpl::fresh() const {
  return std::make_shared<PointNetworkImpl>(path_, points_, outputs_);
}

std::vector<int64_t> PointNetworkImpl::latent_shape() const {
  return {points_, 1, 1};
}

std::vector<int64_t> PointNetworkImpl::latent_shape(int64_t height,
                                                    int64_t width) const {
  RSM_CHECK(height == 1 && width == 1, "[verify] latents of ", height, " x ",
            width, " arrived; a point is 1 x 1");
  return latent_shape();
}

std::pair<int64_t, int64_t> PointNetworkImpl::condition_widths() const {
  return {kConditionWidth, 0};
}

nlohmann::json PointNetworkImpl::config_json() const {
  return {{"in_channels", points_}};
}

Network PointNetworkImpl::small_network(
    const std::vector<int64_t>& /*channels*/) const {
  return std::make_shared<PointNetworkImpl>(path_, points_, points_);
}

Network PointNetworkImpl::scalar_network(const UnetConfig& /*config*/) const {
  return std::make_shared<PointNetworkImpl>(path_, points_, 1);
}

WorldNetworkImpl::WorldNetworkImpl(std::shared_ptr<const Path> path,
                                   Density reference)
    : PointNetworkImpl(std::move(path), reference.dimensions(),
                       reference.dimensions()),
      reference_(std::move(reference)) {}

torch::Tensor WorldNetworkImpl::predict(const torch::Tensor& x,
                                        const torch::Tensor& t,
                                        const Condition& condition) {
  const auto learnt = PointNetworkImpl::predict(x, t, condition);
  const auto points = x.flatten(1);
  const auto [signal, noise] = shares_at(*path(), t, points);
  const auto known = exact_output(*path(), reference_, points, signal, noise);
  return known.view_as(x) + noise.view({-1, 1, 1, 1}) * learnt;
}

Network WorldNetworkImpl::fresh() const {
  return std::make_shared<WorldNetworkImpl>(path(), reference_);
}

Condition no_condition(int64_t rows) {
  return {at::zeros({rows, 1, kConditionWidth}), {}};
}

Network new_world_network(std::shared_ptr<const Path> path,
                          const Density& reference, uint64_t seed) {
  auto network = std::make_shared<WorldNetworkImpl>(std::move(path), reference);
  const torch::NoGradGuard no_grad;
  uint64_t index = 0;
  for (const auto& item : network->named_parameters()) {
    if (item.key().starts_with("proj_out.")) {
      item.value().zero_();
    } else {
      set_initial_value(item.key(), item.value(),
                        counted_seed(seed, Purpose::model_init, {index++}));
    }
  }
  return network;
}

}  // namespace rsm::verify
