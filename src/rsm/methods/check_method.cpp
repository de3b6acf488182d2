#include "rsm/methods/check_method.h"

#include <algorithm>
#include <numeric>

#include "rsm/methods/check_comparison.h"
#include "rsm/methods/check_pictures.h"
#include "rsm/methods/check_pull.h"
#include "rsm/methods/check_return.h"
#include "rsm/methods/names.h"
#include "rsm/methods/require.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;
using Grouping = EstimatorKnobs::Grouping;
using Baseline = EstimatorKnobs::Baseline;
using Importance = RegularisationKnobs::Importance;
using KlForm = RegularisationKnobs::KlForm;
using Shape = StrengthKnobs::Shape;
using At = GradientKnobs::At;

/** Of a ScalarUnet (models/scalar_unet.h). */
void check_channels(const Method& method, const char* section,
                    const ScalarNetworkKnobs& knobs) {
  require(!knobs.channels.empty(), method, section,
          ".channels is empty; give the width of each level, say [8, 16]");
  for (const int64_t channels : knobs.channels) {
    require(channels % 4 == 0, method, section, ".channels has ", channels,
            "; give multiples of 4");
  }
}

/** Of steps that are judged by the picture before them. */
void check_judged_steps(const Method& method) {
  const auto& knobs = method.estimator;
  if (knobs.baseline != Baseline::previous_step) return;
  require(knobs.source == Source::rollout, method,
          "baseline: previous_step with source: ", to_string(knobs.source),
          ": only a path has a step before; set source: rollout, or baseline: "
          "mean");
  require(!knobs.has_flow() && !knobs.has_surrogate(), method,
          "baseline: previous_step with a flow or a surrogate, which have "
          "baselines of their own; set baseline: mean");
  require(knobs.window.continuation == 1, method,
          "baseline: previous_step with window.continuation = ",
          knobs.window.continuation,
          ": pictures before and behind a step are to come by the same steps; "
          "set continuation: 1");
}

/** Of a path's steps that draw noise. */
void check_window(const Method& method, int64_t steps) {
  const auto& knobs = method.estimator;
  const auto& window = knobs.window;
  if (!window.is_on()) return;
  require(knobs.source == Source::rollout, method, "window of ", window.size,
          " with source: ", to_string(knobs.source),
          ": only paths have one; set source: rollout, or window.size: 0");
  require(window.start < steps - 1, method, "window.start is ", window.start,
          "; steps from 0 to ", steps - 2, " may draw noise");
  require(!knobs.has_flow(), method, "window.size = ", window.size,
          " with flow.use: ", to_string(knobs.flow.use),
          ": only whole stochastic paths have a balance; set window.size: 0");
  require(window.continuation == 1 || !method.strength.scaled_residual, method,
          "window.continuation = ", window.continuation,
          " with scaled_residual, which is made for the times of the steps; "
          "set continuation: 1");
}

void check_flow(const Method& method) {
  using Use = FlowKnobs::Use;
  const auto& knobs = method.estimator;
  if (!knobs.has_flow()) return;
  require(knobs.source == Source::rollout, method,
          "flow.use: ", to_string(knobs.flow.use),
          " with source: ", to_string(knobs.source),
          ": only whole stochastic paths have a balance; set source: rollout");
  const auto importance = method.regularisation.importance;
  require(knobs.flow.use != Use::balance || importance == Importance::none,
          method, "flow.use: balance with importance: ", to_string(importance),
          ": the square of a residual has no ratio; set importance: none");
  require(knobs.baseline != Baseline::running &&
              knobs.combine == EstimatorKnobs::Combine::rewards,
          method, "a flow with baseline: ", to_string(knobs.baseline),
          " and combine: ", to_string(knobs.combine),
          ": what a balance lacks is one number of this epoch; set another "
          "baseline than running, and combine: rewards");
  check_channels(method, "flow", knobs.flow);
}

/** Its predictions have mean 0 where nothing else than their own noise chooses
 * the rows, and that is as the log-density says. */
void check_surrogate(const Method& method) {
  const auto& knobs = method.estimator;
  const auto& tree = knobs.tree;
  if (!knobs.has_surrogate()) return;
  const std::string at = "surrogate.at: " + to_string(knobs.surrogate.at);
  require(knobs.draws_rows(), method, at,
          " with source: ", to_string(knobs.source),
          ": no row draws noise whose effect a scorer could foretell; set "
          "surrogate.at: none");
  require(!knobs.has_flow(), method, at,
          " with flow.use: ", to_string(knobs.flow.use),
          ": what a balance lacks is no reward of ",
          "the pictures that the scorer learns from; set surrogate.at: none");
  if (knobs.source == Source::tree) {
    require(tree.keep_leaves == 1, method, at,
            " with tree.keep_leaves = ", tree.keep_leaves,
            ": rows that are kept for their reward have "
            "noise whose mean is not 0; set keep_leaves: 1");
    require(!method.as_published || tree.split_noise == 1, method, at,
            " with tree.split_noise = ", tree.split_noise,
            " as published: "
            "noise has another spread than its log-density says; set ",
            "as_published: false");
  }
  check_channels(method, "surrogate", knobs.surrogate);
}

/** What the splits may be is the plan's to say (rollouts/plan.h). */
void check_tree(const Method& method, int64_t steps) {
  const auto& tree = method.estimator.tree;
  require(!tree.split_steps.empty(), method,
          "source: tree without tree.split_steps; give the steps at which "
          "nodes split, or source: rollout");
  for (const int64_t step : tree.sde_steps) {
    require(step < steps - 1, method, "tree.sde_steps has ", step,
            "; steps from 0 to ", steps - 2, " may draw noise");
  }
  for (const int64_t step : tree.skip_steps) {
    require(step < steps - 1, method, "tree.skip_steps has ", step,
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

/** Of sources whose root gives one picture. */
void check_grouping(const Method& method) {
  const auto grouping = method.estimator.grouping;
  require(grouping != Grouping::seed && grouping != Grouping::root, method,
          "source: ", to_string(method.estimator.source),
          " with grouping: ", to_string(grouping),
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

/** A value network's loss is the published one in its own terms alone. */
void check_value(const Method& method) {
  const auto& gradient = method.estimator.gradient;
  const auto& value = gradient.value;
  const auto& knobs = method.regularisation;
  const auto shape = method.strength.shape;
  if (value.kind == ValueKnobs::Kind::none) return;
  require(gradient.prompt_dropout == 0, method,
          "value.kind: ", to_string(value.kind),
          " with prompt_dropout: the network is told of prompts; set "
          "prompt_dropout: 0");
  require(knobs.beta == 1, method, "value.kind: ", to_string(value.kind),
          " with beta = ", knobs.beta,
          ": the network is added to the reference's output; set beta: 1");
  if (value.law == ValueKnobs::Law::consistency) {
    require(knobs.kl_form == KlForm::output && gradient.at == At::picture &&
                gradient.lookahead == 0 &&
                (shape == Shape::flat || shape == Shape::linear ||
                 shape == Shape::quadratic),
            method,
            "value.law: consistency needs kl_form: output, gradient.at: "
            "picture, lookahead: 0 and a shape flat, linear or quadratic: it "
            "is told of the output at a time");
  } else {
    require(knobs.kl_form == KlForm::score && gradient.stochastic &&
                gradient.at == At::network && gradient.lookahead == 1 &&
                (shape == Shape::residual || shape == Shape::residual_linear),
            method,
            "value.law: balance needs kl_form: score, stochastic paths, "
            "gradient.at: network, lookahead: 1 and a shape residual or "
            "residual_linear: it is told of the steps' log-density");
  }
  if (value.kind != ValueKnobs::Kind::small) return;
  const auto& channels = value.channels;
  require(
      !channels.empty() && std::all_of(channels.begin(), channels.end(),
                                       [](int64_t c) { return c % 2 == 0; }),
      method,
      "value.channels must list one even number or more, one for each "
      "level of the UNet");
}

/** Which steps of a path are trained. */
void check_times(const Method& method, int64_t steps) {
  const auto& gradient = method.estimator.gradient;
  require(gradient.first_step < steps, method, "gradient.first_step is ",
          gradient.first_step, " of ", steps,
          " steps: none is left to train; lower it");
  require(gradient.early_times <= gradient.times, method,
          "gradient.early_times = ", gradient.early_times,
          " of times = ", gradient.times,
          "; give times as many as there are in all");
}

void check_trajectory(const Method& method, int64_t steps) {
  const auto& gradient = method.estimator.gradient;
  const auto& knobs = method.regularisation;
  require(knobs.importance == Importance::none, method,
          "source: trajectory with importance: ", to_string(knobs.importance),
          ": a gradient has no ratio; set importance: none");
  require(gradient.lookahead <= steps, method, "gradient.lookahead is ",
          gradient.lookahead, ", paths have ", steps, " steps; ", steps,
          " reaches their sample from every state");
  require(gradient.late_steps <= steps, method, "gradient.late_steps is ",
          gradient.late_steps, " of ", steps, " steps; 0 trains them all");
  check_times(method, steps);
  require(
      gradient.reject_above == 1 || knobs.beta > 0, method,
      "gradient.reject_above with beta = 0: without a pull to the reference "
      "states have no target; set beta above 0 or reject_above: 1");
  require(!gradient.random_late_steps || gradient.late_steps != 1, method,
          "random_late_steps with late_steps: 1: there is nothing to draw");
  require(gradient.through != GradientKnobs::Through::linear ||
              gradient.at == At::adjoint,
          method, "gradient.through: linear with at: ", to_string(gradient.at),
          ": without the network's part that is at: picture; set it, or at: "
          "adjoint");
  require(gradient.through != GradientKnobs::Through::predictor ||
              gradient.at == At::network,
          method,
          "gradient.through: predictor with at: ", to_string(gradient.at),
          ": it predicts pictures, and takes no steps; set at: network");
  require(gradient.particles == 1 || gradient.jitter > 0, method,
          "gradient.particles = ", gradient.particles,
          " with jitter = 0: they are one and the same; set jitter above 0, "
          "say 0.02");
  require(gradient.replay_age <= gradient.replay, method,
          "gradient.replay_age = ", gradient.replay_age,
          " of replay = ", gradient.replay,
          ": no epoch is kept so long; raise replay");
  check_value(method);
}

void check_regularisation(const Method& method) {
  const auto& knobs = method.regularisation;
  const bool of_pictures = method.estimator.is_of_pictures();
  const bool by_divergence =
      knobs.clip_in == RegularisationKnobs::ClipIn::divergence;
  check_pull(method);
  require(knobs.anchors || knobs.anchor_share == 0, method,
          "anchor_share = ", knobs.anchor_share,
          " without anchors; set anchors: true or leave it out");
  require(knobs.pull_rows || knobs.anchors || knobs.beta == 0, method,
          "pull_rows: false without anchors: beta would pull nothing; set "
          "anchors: true or beta: 0");
  require(knobs.importance != Importance::quadratic ||
              (!of_pictures && !by_divergence),
          method, "importance: quadratic with ",
          of_pictures ? "source: pictures" : "clip_in: divergence",
          ": it holds the ratio of a sampler's steps by itself; set "
          "importance: ratio");
  require(!by_divergence || (!of_pictures && !method.estimator.is_of_pairs()),
          method, "clip_in: divergence with source: ",
          to_string(method.estimator.source),
          ": its rows are at no step, whose KL it bounds; set clip_in: "
          "log_ratio");
  require(knobs.importance == Importance::none || knobs.clip_range > 0, method,
          "clip_range = ", knobs.clip_range,
          "; it must be above 0 (importance: none does not clip)");
}

}  // namespace

void check_method(const Method& method, int64_t steps) {
  require(steps >= 2, method, steps,
          " sampler steps; the last is never trained, so 2 or more are needed");
  const auto& estimator = method.estimator;
  switch (estimator.source) {
    case Source::branches:
      check_branches(method, steps);
      break;
    case Source::rollout:
      check_grouping(method);
      break;
    case Source::tree:
      check_tree(method, steps);
      break;
    case Source::trajectory:
      check_trajectory(method, steps);
      break;
    case Source::pictures:
      check_grouping(method);
      check_pictures(method);
      break;
    case Source::pairs:
      check_pairs(method);
      break;
  }
  check_diversity(method);
  check_forward(method);
  check_window(method, steps);
  check_judged_steps(method);
  check_flow(method);
  check_surrogate(method);
  check_return(method);
  require(estimator.baseline != Baseline::running ||
              (estimator.grouping == Grouping::prompt &&
               estimator.buffer_least <= estimator.buffer_size),
          method,
          "baseline: running needs grouping: prompt and a buffer_least "
          "of at most buffer_size; got ",
          estimator.buffer_least, " of ", estimator.buffer_size);
  require(
      !method.strength.scaled_residual || estimator.source == Source::rollout,
      method,
      "scaled_residual needs source: rollout: branches leave the times "
      "that it is made for");
  check_regularisation(method);
  if (method.regularisation.anchors) check_anchors(method, steps);
}

}  // namespace rsm
