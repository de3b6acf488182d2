#include "rsm/estimators/diversity.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <vector>

namespace rsm {
namespace {

/** Parts of a side that pixels are averaged in. */
constexpr int64_t kMostParts = 32;

/** How far each of `all` [n,F] is from the nearest other, over their mean. */
std::vector<double> shares_apart(const torch::Tensor& all) {
  const int64_t count = all.size(0);
  std::vector<double> nearest;
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    auto apart = (all - all[i]).square().mean(1).sqrt();
    apart[i] = std::numeric_limits<double>::infinity();
    nearest.push_back(apart.min().item<double>());
    sum += nearest.back();
  }
  const bool known = count > 1 && sum > 0;
  for (double& one : nearest) {
    one = known ? one * static_cast<double>(count) / sum : 1;
  }
  return nearest;
}

}  // namespace

torch::Tensor pixel_features(const torch::Tensor& images) {
  return at::adaptive_avg_pool2d(images, {std::min(images.size(2), kMostParts),
                                          std::min(images.size(3), kMostParts)})
      .flatten(1);
}

void count_diversity(const RolloutIndex& rollout, const torch::Tensor& features,
                     double clip, Advantages& advantages) {
  std::map<int64_t, std::set<int64_t>> pictures;  // of groups
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    pictures[advantages.group[r]].insert(rollout.row_image[r]);
  }
  std::vector<double> factor(rollout.images(), 1);
  for (const auto& [group, of_group] : pictures) {
    const std::vector<int64_t> images(of_group.begin(), of_group.end());
    const auto shares =
        shares_apart(features.index_select(0, torch::tensor(images, at::kLong))
                         .to(at::kDouble));
    for (size_t k = 0; k < images.size(); ++k) factor[images[k]] = shares[k];
  }
  std::vector<double> of_rows;
  for (const int64_t image : rollout.row_image) {
    of_rows.push_back(factor[image]);
  }
  const auto a = advantages.value.to(at::kDouble);
  const auto counted =
      (a * torch::tensor(of_rows, at::kDouble)).clamp_max(clip);
  advantages.value = at::where(a > 0, counted, a).to(at::kFloat);
  advantages.differs = advantages.differs & (advantages.value != 0);
}

}  // namespace rsm
