#include "rsm/models/unet_time.h"

#include <cmath>

#include "rsm/models/network.h"

namespace rsm {
namespace {

/** Timesteps of the networks' training, 0 to 999. */
constexpr double kTimesteps = 1000;

}  // namespace

torch::Tensor unet_timestep(const torch::Tensor& t) {
  return at::round(t * kTimesteps);
}

torch::Tensor unet_time_features(const torch::Tensor& timestep,
                                 const UnetConfig& config) {
  const int64_t half = config.block_out_channels.front() / 2;
  const auto index = at::arange(half, timestep.options().dtype(at::kFloat));
  // Rounded as diffusers rounds: at timestep 1000 the last bit shows.
  const auto frequency =
      at::exp(index * -std::log(kMaxPeriod) / (half - config.freq_shift));
  const auto angle = timestep.to(at::kFloat).unsqueeze(1) * frequency;
  const auto sine = at::sin(angle);
  const auto cosine = at::cos(angle);
  return config.flip_sin_to_cos ? at::cat({cosine, sine}, 1)
                                : at::cat({sine, cosine}, 1);
}

}  // namespace rsm
