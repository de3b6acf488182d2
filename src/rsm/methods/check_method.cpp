#include "rsm/methods/check_method.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/base/error.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;
using Grouping = EstimatorKnobs::Grouping;
using Baseline = EstimatorKnobs::Baseline;
using Importance = RegularisationKnobs::Importance;

template <typename... Parts>
void require(bool condition, const Method& method, const Parts&... parts) {
  if (!condition) throw UsageError(cat("[", method.name, "] ", parts...));
}

/** Whether a reward is compared with others of its group. */
bool compares_members(const EstimatorKnobs& knobs) {
  return knobs.baseline == Baseline::mean ||
         knobs.baseline == Baseline::leave_one_out;
}

void check_tree(const Method& method, int64_t steps) {
  const auto& tree = method.estimator.tree;
  require(method.estimator.branches.empty(), method,
          "source: tree with a list of branches; remove the list, or source: "
          "branches");
  require(!tree.split_steps.empty(), method,
          "source: tree without tree.split_steps; give the steps at which "
          "nodes split, or source: rollout");
  for (size_t i = 0; i < tree.split_steps.size(); ++i) {
    const int64_t step = tree.split_steps[i];
    require(step >= 0 && step < steps - 1 &&
                (i == 0 || step > tree.split_steps[i - 1]),
            method, "tree.split_steps has ", step, " at place ", i,
            "; rising steps from 0 to ", steps - 2, " are needed");
  }
  require(tree.children >= 2, method, "tree.children = ", tree.children,
          "; a split needs 2 or more");
  require(tree.keep_leaves > 0 && tree.keep_leaves <= 1, method,
          "tree.keep_leaves = ", tree.keep_leaves,
          "; a share above 0, at most 1, is needed");
  for (const int64_t step : tree.sde_steps) {
    require(step >= 0 && step < steps - 1, method, "tree.sde_steps has ", step,
            "; steps from 0 to ", steps - 2, " may draw noise");
  }
  for (const int64_t step : tree.skip_steps) {
    require(step >= 0 && step < steps - 1, method, "tree.skip_steps has ", step,
            "; steps from 0 to ", steps - 2, " are trained");
    require(tree.slide_every == 0 || step >= tree.slide_stop, method,
            "tree.skip_steps has ", step,
            ", before slide_stop = ", tree.slide_stop,
            ", and they slide towards step 0; lower ",
            "slide_stop, or set slide_every: 0");
  }
  require(tree.slide_every == 0 || !tree.skip_steps.empty(), method,
          "tree.slide_every = ", tree.slide_every,
          " without tree.skip_steps: nothing slides; list steps to skip");
}

void check_branches(const Method& method, int64_t steps) {
  const auto& list = method.estimator.branches;
  const auto listed = static_cast<int64_t>(list.size());
  require(listed > 0, method,
          "source: branches without a list of branches; give one count a "
          "step, or source: rollout");
  require(listed == steps || listed == steps - 1, method, "branches lists ",
          listed, " steps, the sampler takes ", steps,
          "; give one count for each of the ", steps,
          " (the last 0), or sampling steps that fit");
  require(
      std::all_of(list.begin(), list.end(), [](int64_t k) { return k >= 0; }),
      method, "branches has a negative count; allowed: 0 or more");
  require(listed < steps || list.back() == 0, method, "branches ends with ",
          list.back(), " at the last step, which is never trained; set it to ",
          "0");
  require(
      std::any_of(list.begin(), list.end(), [](int64_t k) { return k > 0; }),
      method,
      "branches is 0 at every step, so nothing would be trained; "
      "raise at least one count");
  if (method.estimator.grouping == Grouping::root &&
      compares_members(method.estimator)) {
    require(std::accumulate(list.begin(), list.end(), int64_t{0}) > 1, method,
            "branches lists one branch, and grouping: root compares those of "
            "one root: a group of one has no spread; list 2 or more");
  }
  if (method.estimator.grouping == Grouping::seed &&
      compares_members(method.estimator)) {
    const auto one = std::find(list.begin(), list.end(), 1);
    require(one == list.end(), method, "branches has 1 at step ",
            one - list.begin(), ", and grouping: seed compares the branches ",
            "of one root: a group of one has no spread; use 2 or more there, ",
            "or grouping: prompt");
  }
}

void check_strength(const Method& method) {
  const double scale = method.strength.scale;
  require(std::isfinite(scale) && scale > 0, method, "strength.scale = ", scale,
          "; it must be above 0");
  require(
      !method.strength.scaled_residual ||
          method.estimator.source == Source::rollout,
      method,
      "scaled_residual needs source: rollout: branches leave the times that it "
      "is made for");
}

void check_estimator(const Method& method) {
  const auto& knobs = method.estimator;
  require(knobs.spread_offset >= 0, method,
          "spread_offset = ", knobs.spread_offset, "; it must be 0 or more");
  require(knobs.baseline != Baseline::running ||
              (knobs.grouping == Grouping::prompt &&
               knobs.buffer_least <= knobs.buffer_size),
          method,
          "baseline: running needs grouping: prompt and a buffer_least "
          "of at most buffer_size; got ",
          knobs.buffer_least, " of ", knobs.buffer_size);
}

void check_rollout(const Method& method) {
  require(method.estimator.branches.empty(), method,
          "source: rollout with a list of branches; remove the list, or "
          "source: branches");
  const auto grouping = method.estimator.grouping;
  require(grouping != Grouping::seed && grouping != Grouping::root, method,
          "source: rollout with grouping: ", to_string(grouping),
          ": a root gives one picture, and a group of one has no spread; use "
          "grouping: prompt");
}

void check_anchors(const Method& method, int64_t steps) {
  const auto& list = method.estimator.branches;
  const auto& knobs = method.regularisation;
  require(method.estimator.source == Source::branches, method,
          "anchors without branches: every trained step has a row, so there is "
          "nothing to anchor; set anchors: false");
  require(knobs.beta > 0, method,
          "anchors with beta = 0 pull with no force; set beta above 0 or "
          "anchors: false");
  const auto trained = std::min<int64_t>(steps - 1, std::ssize(list));
  const bool all = std::all_of(list.begin(), list.begin() + trained,
                               [](int64_t k) { return k > 0; });
  require(knobs.pull_rows || !all, method,
          "pull_rows: false with branches at every trained step: beta would "
          "pull nothing; set a count to 0 or pull_rows: true");
}

}  // namespace

void check_method(const Method& method, int64_t steps) {
  require(steps >= 2, method, steps,
          " sampler steps; the last is never trained, so 2 or more are needed");
  switch (method.estimator.source) {
    case Source::branches:
      check_branches(method, steps);
      break;
    case Source::rollout:
      check_rollout(method);
      break;
    case Source::tree:
      check_tree(method, steps);
      break;
  }
  check_estimator(method);
  check_strength(method);
  const auto& knobs = method.regularisation;
  require(std::isfinite(knobs.beta) && knobs.beta >= 0, method,
          "beta = ", knobs.beta, "; it must be 0 or more");
  require(knobs.anchor_share >= 0 && (knobs.anchors || knobs.anchor_share == 0),
          method, "anchor_share = ", knobs.anchor_share,
          knobs.anchors
              ? "; it must be 0 (all) or more"
              : " without anchors; set anchors: true or leave it out");
  require(knobs.pull_rows || knobs.anchors || knobs.beta == 0, method,
          "pull_rows: false without anchors: beta would pull nothing; set "
          "anchors: true or beta: 0");
  if (knobs.anchors) check_anchors(method, steps);
  require(knobs.importance == Importance::none || knobs.clip_range > 0, method,
          "clip_range = ", knobs.clip_range,
          "; it must be above 0 (importance: none does not clip)");
  require(knobs.advantage_clip > 0, method,
          "advantage_clip = ", knobs.advantage_clip, "; it must be above 0");
}

}  // namespace rsm
