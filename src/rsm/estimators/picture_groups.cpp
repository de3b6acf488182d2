#include "rsm/estimators/picture_groups.h"

#include <algorithm>

#include "rsm/estimators/advantages.h"
#include "rsm/estimators/baselines.h"

namespace rsm {

std::vector<int64_t> picture_groups(const RolloutIndex& rollout,
                                    const EstimatorKnobs& knobs) {
  // Forward rows repeat the pictures of branches.
  const RolloutIndex drawn = without_forward_rows(rollout);
  const bool by_rows = knobs.source != EstimatorKnobs::Source::tree &&
                       !knobs.judges_every_step() && !knobs.needs_gradients();
  std::vector<int64_t> label(drawn.images(), -1);
  if (by_rows) {
    const auto rows = row_groups(drawn, knobs);
    for (size_t r = 0; r < rows.size(); ++r) {
      label[drawn.row_image[r]] = rows[r];
    }
  }
  if (std::count(label.begin(), label.end(), -1) > 0) {
    return numbered(drawn.image_prompt);
  }
  const int64_t prompts = std::ssize(drawn.prompts);
  for (size_t image = 0; image < label.size(); ++image) {
    label[image] = label[image] * prompts + drawn.image_prompt[image];
  }
  return numbered(label);
}

}  // namespace rsm
