#include "rsm/estimators/pruning.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Pictures; a share times a count may miss a whole number by rounding. */
constexpr double kRounding = 1e-9;

int64_t pictures_of(const RolloutIndex& rollout, size_t row) {
  return rollout.row_images.empty() ? 1 : rollout.row_images[row];
}

int64_t step_of(const RolloutIndex& rollout, size_t row) {
  return rollout.state_step[rollout.row_state[row]];
}

/** The last step that splits and has rows; -1 without one. */
int64_t last_split(const RolloutIndex& rollout, const TreeKnobs& knobs) {
  int64_t last = -1;
  for (size_t r = 0; r < rollout.row_state.size(); ++r) {
    const int64_t step = step_of(rollout, r);
    if (knobs.splits_at(step)) last = std::max(last, step);
  }
  return last;
}

/** Pictures of each root, in their order. */
std::map<int64_t, std::vector<int64_t>> pictures_by_root(
    const RolloutIndex& rollout) {
  std::map<int64_t, std::vector<int64_t>> out;
  std::vector<bool> seen(rollout.images(), false);
  for (size_t r = 0; r < rollout.row_state.size(); ++r) {
    auto& pictures = out[rollout.state_root[rollout.row_state[r]]];
    const int64_t first = rollout.row_image[r];
    for (int64_t i = first; i < first + pictures_of(rollout, r); ++i) {
      if (!seen[i]) pictures.push_back(i);
      seen[i] = true;
    }
  }
  for (auto& [root, pictures] : out) {
    std::sort(pictures.begin(), pictures.end());
  }
  return out;
}

/** [I] the pictures that are kept. */
std::vector<bool> kept_pictures(const RolloutIndex& rollout,
                                const std::vector<double>& rewards,
                                const TreeKnobs& knobs) {
  const bool extremes = knobs.keep == TreeKnobs::Keep::extremes;
  std::vector<bool> kept(rewards.size(), false);
  for (auto [root, pictures] : pictures_by_root(rollout)) {
    std::stable_sort(
        pictures.begin(), pictures.end(),
        [&](int64_t a, int64_t b) { return rewards[a] > rewards[b]; });
    const size_t all = pictures.size();
    const double exact = knobs.keep_leaves * static_cast<double>(all);
    const size_t count =
        std::clamp<size_t>(static_cast<size_t>(std::ceil(exact - kRounding)),
                           std::min<size_t>(extremes ? 2 : 1, all), all);
    const size_t best = extremes ? count / 2 : count;
    for (size_t i = 0; i < count; ++i) {
      kept[pictures[i < best ? i : all - count + i]] = true;
    }
  }
  return kept;
}

}  // namespace

std::vector<int64_t> skipped_steps(const TreeKnobs& knobs, int64_t epoch) {
  auto steps = knobs.skip_steps;
  if (steps.empty() || knobs.slide_every <= 0) {
    return steps;
  }
  const int64_t first = *std::min_element(steps.begin(), steps.end());
  const int64_t farthest = std::max<int64_t>(first - knobs.slide_stop, 0);
  const int64_t shift = std::min(epoch / knobs.slide_every, farthest);
  for (auto& step : steps) step -= shift;
  return steps;
}

std::vector<bool> trained_rows(const RolloutIndex& rollout,
                               const std::vector<double>& rewards,
                               const TreeKnobs& knobs) {
  RSM_CHECK(knobs.keep_leaves > 0 && knobs.keep_leaves <= 1,
            "[trained_rows] a share of ", knobs.keep_leaves,
            " leaves to keep; it must be above 0 and at most 1: set "
            "estimator.tree.keep_leaves");
  const auto kept = kept_pictures(rollout, rewards, knobs);
  const int64_t last = last_split(rollout, knobs);
  std::vector<bool> trained(rollout.row_state.size());
  for (size_t r = 0; r < trained.size(); ++r) {
    const int64_t step = step_of(rollout, r);
    RSM_CHECK(step <= last || pictures_of(rollout, r) == 1,
              "[trained_rows] row ", r, " of step ", step, " leads to ",
              pictures_of(rollout, r), " pictures, after the last split at ",
              last, "; roll out with the splits the method lists");
    const auto& skipped = knobs.skip_steps;
    trained[r] =
        (step <= last || kept[rollout.row_image[r]]) &&
        std::find(skipped.begin(), skipped.end(), step) == skipped.end();
  }
  return trained;
}

}  // namespace rsm
