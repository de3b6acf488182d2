#include "rsm/base/reward.h"

#include <set>

#include "rsm/base/error.h"

namespace rsm {

RewardScores Reward::score_groups(const torch::Tensor& images,
                                  const Prompts& prompts,
                                  const std::vector<int64_t>& /*group*/) const {
  return score(images, prompts);
}

torch::Tensor Reward::value_of(const torch::Tensor& /*images*/,
                               const Prompts& /*prompts*/) const {
  throw UsageError(cat("[reward ", name(),
                       "] has no gradient: it is a black box; methods that "
                       "take rewards' values alone train on it: `rsm methods` "
                       "lists them under zeroth order"));
}

void check_picture_shapes(const std::string& who, const torch::Tensor& images,
                          const Prompts& prompts) {
  RSM_CHECK(images.dim() == 4 && images.size(1) == 3 && images.size(2) > 0 &&
                images.size(3) > 0 && images.is_floating_point(),
            "[", who, "] images ", images.sizes(), " of ", images.scalar_type(),
            "; it judges [B,3,H,W] of floating point");
  RSM_CHECK(images.size(0) == std::ssize(prompts), "[", who, "] ",
            images.size(0), " images and ", prompts.size(),
            " prompts; give one prompt an image");
}

void check_groups(const std::string& who, int64_t count,
                  const std::vector<int64_t>& group) {
  RSM_CHECK(std::ssize(group) == count, "[", who, "] ", group.size(),
            " labels of groups for ", count, " images; give one an image");
  std::set<int64_t> seen;
  for (size_t i = 0; i < group.size(); ++i) {
    if (i > 0 && group[i] == group[i - 1]) continue;
    RSM_CHECK(seen.insert(group[i]).second, "[", who, "] image ", i,
              " is of group ", group[i],
              ", others of which stand before images of another; the images of "
              "a group stand one after the other");
  }
}

void check_pictures(const std::string& who, const torch::Tensor& images,
                    const Prompts& prompts) {
  check_picture_shapes(who, images, prompts);
  RSM_CHECK(images.scalar_type() == torch::kFloat32 && images.device().is_cpu(),
            "[", who, "] images of type ", images.scalar_type(), " on ",
            images.device(), "; they must be float32 on the CPU");
  const auto bad = (~images.isfinite().flatten(1).all(1)).nonzero();
  if (bad.numel() > 0) {
    const auto first = bad[0].item<int64_t>();
    throw Error(cat("[", who, "] image ", first, " (\"", prompts[first].text,
                    "\") has a NaN or an infinity; look for divergence "
                    "upstream"));
  }
}

}  // namespace rsm
