#include "rsm/judges/network_reward.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/models/loading.h"

namespace rsm {

torch::Device device_of(const RewardSpec& spec) {
  const auto device = device_named(spec.device.empty() ? "cpu" : spec.device);
  require_device(device);
  return device;
}

int64_t threads_of(const RewardSpec& spec) {
  return spec.threads > 0 ? spec.threads : at::get_num_threads();
}

torch::Tensor pictures_to_try(int64_t height, int64_t width) {
  const auto noise = counted_normal(counted_seed(0, Purpose::evaluation, {0}),
                                    {1, 3, height, width});
  return at::cat({at::zeros_like(noise), noise.sigmoid()});
}

void check_tried(const std::string& who, const std::string& file,
                 const torch::Tensor& numbers, const std::string& what) {
  const auto of_each = numbers.flatten(1).isfinite().all(1).to(at::kCPU);
  for (int64_t i = 0; i < 2; ++i) {
    RSM_CHECK(of_each[i].item<bool>(), "[", who, "] its ", what, " of a ",
              i == 0 ? "black picture" : "picture of noise",
              " is not finite; mend ", file);
  }
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
