#include "rsm/estimators/forward_advantages.h"

#include <utility>

#include "rsm/estimators/distance.h"

namespace rsm {

Advantages with_forward_rows(Advantages branches, const RolloutIndex& rollout,
                             const PictureKnobs& knobs) {
  std::vector<int64_t> branch_of(rollout.images(), -1), branch, is_forward;
  int64_t count = 0;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const bool noised = rollout.is_forward(rollout.row_state[r]);
    is_forward.push_back(noised ? 1 : 0);
    if (!noised) branch_of[rollout.row_image[r]] = count++;
  }
  Advantages out = std::move(branches);
  std::vector<int64_t> group;
  for (const int64_t image : rollout.row_image) {
    branch.push_back(branch_of[image]);
    group.push_back(out.group[branch.back()]);
  }
  out.group = std::move(group);
  const auto from = torch::tensor(branch, at::kLong);
  for (auto* each : {&out.value, &out.alive, &out.differs, &out.trained}) {
    *each = each->index_select(0, from);
  }
  const auto scaled = weights_of(knobs, out.value, out.group).to(at::kFloat);
  out.value = at::where(torch::tensor(is_forward, at::kLong).to(at::kBool),
                        scaled, out.value);
  return out;
}

}  // namespace rsm
