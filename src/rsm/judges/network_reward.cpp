#include "rsm/judges/network_reward.h"

#include <algorithm>
#include <vector>

#include "rsm/models/loading.h"

namespace rsm {

torch::Device device_of(const RewardSpec& spec) {
  const auto device = device_named(spec.device.empty() ? "cpu" : spec.device);
  require_device(device);
  return device;
}

RewardScores NetworkReward::score(const torch::Tensor& images,
                                  const Prompts& prompts) const {
  check_pictures(who(), images, prompts);
  const torch::NoGradGuard no_grad;
  return {value_of(images, prompts), {}};
}

torch::Tensor NetworkReward::value_of(const torch::Tensor& images,
                                      const Prompts& prompts) const {
  check_picture_shapes(who(), images, prompts);
  const int64_t count = images.size(0);
  // Of no pictures [0], which carries their gradient too.
  if (count == 0) return images.sum({1, 2, 3}).to(at::kFloat);
  const auto place = device();
  const int64_t tile = count == 1 && images.requires_grad() ? 1 : kTile;
  std::vector<torch::Tensor> values;
  for (int64_t first = 0; first < count; first += tile) {
    const auto rows =
        at::arange(first, first + tile, at::kLong).clamp_max(count - 1);
    Prompts asked;
    for (int64_t i = 0; i < tile; ++i) {
      asked.push_back(prompts[std::min(first + i, count - 1)]);
    }
    const auto some =
        images.index_select(0, rows.to(images.device())).to(place, at::kFloat);
    const auto value = judged(some, asked);
    values.push_back(value.slice(0, 0, std::min(tile, count - first)));
  }
  return at::cat(values).to(images.device(), at::kFloat);
}

torch::ScalarType NetworkReward::type() const { return type_named(spec_.type); }

}  // namespace rsm
