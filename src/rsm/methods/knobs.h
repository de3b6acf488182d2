#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/methods/budget_knob_list.h"
#include "rsm/methods/forward_knob_list.h"
#include "rsm/methods/gradient_knob_list.h"
#include "rsm/methods/knob_ranges.h"
#include "rsm/methods/learnt_knob_list.h"
#include "rsm/methods/picture_knob_list.h"
#include "rsm/methods/profiles.h"
#include "rsm/methods/regularisation_knob_list.h"
#include "rsm/methods/return_knob_list.h"
#include "rsm/methods/tree_knob_list.h"
#include "rsm/methods/window_knob_list.h"

/** Every knob of a method, listed once: its key in configs, what it may be, and
 * what it does, in Markdown for users. Reading, writing, checking and the table
 * of docs/methods.md are visitors of these lists:
 *
 *     v(key, knob, meaning)             a word or a flag
 *     v(key, knob, range, meaning)      a number or a list of numbers
 *     v(key, knob, words, meaning)      a text, one of `words`
 *     v.group(key, knobs)               a section of knobs
 *     if (v.when(holds, key)) ...       knobs that only some values of the knob
 *                                       `key`, listed before, go with
 *
 * A visitor that reads has set a knob before the next is visited. */
namespace rsm {

template <class Visitor>
void visit(Visitor& v, EstimatorKnobs& k) {
  using enum EstimatorKnobs::Source;
  v("source", k.source,
    "`rollout`: stochastic paths; every step but the last is a row. "
    "`branches`: a deterministic root; K_i one-step branches from its state i, "
    "each continued without noise. `tree`: a stochastic path that splits; a "
    "node's reward is the mean of its leaves'. `trajectory`: paths whose every "
    "state is trained along the gradient of a differentiable reward. "
    "`pictures`: samples without noise, noised again and trained on as "
    "pictures are, by how good they are. `pairs`: two paths of one start, each "
    "with noise of its own, whose every state is trained along the difference "
    "of their pictures");
  v("shared_start", k.shared_start,
    "a prompt's samples share their first noise");
  if (v.when(k.source != pictures, "source")) visit_return(v, k.returns);
  if (v.when(k.source == trajectory, "source")) v.group("gradient", k.gradient);
  if (!v.when(k.source != trajectory, "source")) return;
  if (v.when(k.source == rollout, "source")) v.group("window", k.window);
  if (v.when(k.source == rollout, "source")) v.group("flow", k.flow);
  if (v.when(k.source == pictures, "source")) v.group("pictures", k.pictures);
  if (v.when(k.source == branches, "source")) v.group("forward", k.forward);
  if (v.when(k.draws_rows(), "source") && v.when(!k.has_flow(), "flow")) {
    v.group("surrogate", k.surrogate);
  }
  if (!v.when(k.flow.use != FlowKnobs::Use::balance, "flow")) return;
  if (!v.when(!k.needs_gradients(), "pictures")) return;
  v("grouping", k.grouping,
    "compared: all paths of a prompt, or its branches or nodes at the same "
    "step; those of one root at one step (`seed`) or at all steps (`root`), "
    "neither for `rollout` and `pictures`; all of the epoch, nodes: of a step "
    "(`batch`); of `pairs` the two of a root (`seed`)");
  v("baseline", k.baseline,
    "taken off a reward: its group's mean; that of the others in it; the mean "
    "of the prompt's last rewards over epochs (DDPO); nothing; "
    "`previous_step`, of `rollout`: that of the picture to which the ODE leads "
    "from a step's beginning off that from its end, then the group's mean "
    "gain (DenseGRPO)");
  v("spread", k.spread,
    "a centred reward is divided by its group's standard deviation, that of "
    "all rewards, or nothing");
  v("combine", k.combine,
    "several rewards are summed before they are compared, or compared one by "
    "one and their advantages summed; `normalised`: and the sums standardised "
    "over all of the epoch (GDPO)");
  v("spread_offset", k.spread_offset, kNotNegative, "added to the spread");
  v("unbiased_spread", k.unbiased_spread, "squares divided by n − 1, not n");
  v("diversity", k.diversity,
    "an advantage above 0 is times how far its picture is from the nearest of "
    "its group, over the group's mean of that (GARDO), by root mean squares of "
    "`latents` or of `pixels`; `none`: it stays");
  if (v.when(k.baseline == EstimatorKnobs::Baseline::running, "baseline")) {
    v("buffer_size", k.buffer_size, kBuffered,
      "rewards kept of a prompt, for `running` (32)");
    v("buffer_least", k.buffer_least, kBuffered,
      "with fewer of them the epoch's rewards stand in (16)");
  }
  if (v.when(k.source == branches, "source")) {
    if (v.when(!k.profile.empty(), "profile")) {
      v("profile", k.profile, branch_profiles(),
        "a budget below, in place of `branches`");
    }
    if (v.when(k.profile.empty(), "profile")) {
      v("branches", k.branches, kBranches,
        "K_i by step: N or N − 1 counts for N sampler steps, the Nth 0; or "
        "`auto`, see `budget`");
    }
    v.group("budget", k.budget);
  }
  if (v.when(k.source == tree, "source")) v.group("tree", k.tree);
}

template <class Visitor>
void visit(Visitor& v, StrengthKnobs& k) {
  v("shape", k.shape, "g(t), below");
  v("scale", k.scale, kPositive, "multiplies g");
  v("scaled_residual", k.scaled_residual,
    "the policy's output is y_ref + (0.5169/w)(y − y_ref) (PCPO's uw-lambda)");
}

template <class Visitor>
void visit(Visitor& v, Method& method) {
  v.group("estimator", method.estimator);
  v.group("strength", method.strength);
  v.group("regularisation", method.regularisation);
}

/** A knob as it is listed, which is a number where it has no words. */
struct KnobInfo {
  std::string key;                 ///< "estimator.tree.children"
  std::vector<std::string> words;  ///< also of a flag
  Range range;
  std::string meaning;
  bool is_list = false;
  bool is_real = false;
};
std::vector<KnobInfo> list_knobs();

}  // namespace rsm
