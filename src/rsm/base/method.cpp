#include "rsm/base/method.h"

#include <algorithm>

namespace rsm {
namespace {

bool contains(const std::vector<int64_t>& steps, int64_t step) {
  return std::find(steps.begin(), steps.end(), step) != steps.end();
}

}  // namespace

bool TreeKnobs::splits_at(int64_t step) const {
  return contains(split_steps, step);
}

int64_t TreeKnobs::children_at(int64_t step) const {
  if (splits_at(step)) {
    return children;
  }
  return sde_steps.empty() || contains(sde_steps, step) ? 1 : 0;
}

void EstimatorKnobs::compare_nothing() {
  const EstimatorKnobs usual;
  grouping = Grouping::batch;
  baseline = Baseline::none;
  spread = Spread::none;
  combine = Combine::rewards;
  diversity = usual.diversity;
  spread_offset = usual.spread_offset;
  unbiased_spread = usual.unbiased_spread;
}

int64_t EstimatorKnobs::trainable_steps(int64_t steps) const {
  if (is_of_pictures()) return pictures.draws;
  return is_first_order() || is_of_pairs() ? steps : steps - 1;
}

int64_t EstimatorKnobs::rows_at(int64_t step, int64_t steps) const {
  if (step < 0 || step >= trainable_steps(steps)) return 0;
  if (source == Source::tree) return tree.children_at(step);
  if (source == Source::rollout) return window.holds(step) ? 1 : 0;
  if (source != Source::branches) return 1;
  const auto listed = static_cast<int64_t>(branches.size());
  return step < listed ? branches[step] : 0;
}

}  // namespace rsm
