#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/methods/profiles.h"

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

/** Allowed values of a number, or of each number of a list. */
struct Range {
  double min = 0;
  double max = 0;
  bool without_min = false;

  /** "above 0", "2 to 64" */
  std::string text() const;
};

constexpr double kLargest = 1e30;  // no knob comes near; float32 still holds it
constexpr Range kSamplerSteps = {0, 1000};  // of a sampler
constexpr Range kEpochs = {0, 1e9};
constexpr Range kBuffered = {2, 1e6};  // rewards of a prompt
constexpr Range kBranches = {0, 10000};
constexpr Range kUnetChannels = {4, 4096};
constexpr Range kNotNegative = {0, kLargest};
constexpr Range kShare = {0, 1};
constexpr Range kPositive = {0, kLargest, true};

template <class Visitor>
void visit(Visitor& v, TreeKnobs& k) {
  v("split_steps", k.split_steps, kSamplerSteps,
    "where every node splits, rising; elsewhere it takes one step");
  v("children", k.children, Range{2, 64}, "of a split");
  v("split_noise", k.split_noise, Range{1e-6, kLargest},
    "factor on the noise of splits");
  v("sde_steps", k.sde_steps, kSamplerSteps,
    "besides the splits, only these draw noise; elsewhere a node takes the ODE "
    "step, which is no row. Empty: all do");
  v("keep_leaves", k.keep_leaves, Range{0, 1, true},
    "share of a root's leaves whose last branches are trained");
  v("keep", k.keep, "which of them: the best, or half best, half worst");
  v("skip_steps", k.skip_steps, kSamplerSteps,
    "their rows are not trained; the KL (`beta`) still holds them");
  v("slide_every", k.slide_every, kEpochs,
    "after each so many epochs `skip_steps` move one step towards the noise; "
    "0: never");
  v("slide_stop", k.slide_stop, kSamplerSteps, "where the first of them stays");
}

template <class Visitor>
void visit(Visitor& v, ValueKnobs& k) {
  using enum ValueKnobs::Kind;
  v("kind", k.kind,
    "a network that learns what the reward's gradient lacks of the value's, "
    "added to it: none; a `small` UNet; a `copy` of the model; a `lora` on "
    "one, "
    "with its last layer");
  if (!v.when(k.kind != none, "kind")) return;
  v("law", k.law,
    "what it learns from: `consistency` along the flow (VGG-Flow), or detailed "
    "`balance` of steps (Residual ∇-DB)");
  if (v.when(k.kind == small, "kind")) {
    v("channels", k.channels, Range{2, 4096}, "of the levels; even numbers");
  }
  if (v.when(k.kind == lora, "kind"))
    v("rank", k.rank, Range{1, 1024}, "of its matrices");
  v("output_scale", k.output_scale, kPositive,
    "on the last layer's first weights. Published: 1e-3 of `small` (1 with "
    "`balance`), 1e-5 of the others");
  v("lr", k.lr, kNotNegative, "of its AdamW, one step an epoch");
  v("weight_decay", k.weight_decay, kNotNegative, "of the same");
  v("max_grad_norm", k.max_grad_norm, kPositive,
    "longer gradients are scaled down to it");
  if (v.when(k.law == ValueKnobs::Law::consistency, "law")) {
    v("consistency", k.consistency, kNotNegative, "weight of that loss");
    v("difference", k.difference, Range{1e-6, 1e-2},
      "step of its finite differences");
  }
  if (v.when(k.law == ValueKnobs::Law::balance, "law")) {
    v("backward", k.backward, kNotNegative, "weight of the backward loss");
  }
  v("terminal", k.terminal, kNotNegative,
    "weight of the loss that makes it vanish at the path's end");
}

template <class Visitor>
void visit(Visitor& v, GradientKnobs& k) {
  using enum GradientKnobs::At;
  v("at", k.at,
    "where the reward's gradient is taken. `picture`: the picture predicted "
    "from a state, its output held fixed; `network`: the same, through the "
    "network; `sample`: the path's own sample, once for all its states; "
    "`adjoint`: that carried back by the Jacobians of the steps");
  if (v.when(k.at == network || k.at == adjoint, "at")) {
    v("through", k.through,
      "whose Jacobian: of the model before training; of what is trained; "
      "`linear`, of steps without their network's part, which takes no pass "
      "(EAM; only of `adjoint`); of a consistency model, a LoRA of the model "
      "that the key `predictor` beside this one names (SQDF; only of "
      "`network`, and of diffusion models)");
  }
  if (v.when(k.at != sample, "at")) {
    v("lookahead", k.lookahead, kSamplerSteps,
      "steps from the state that is trained to the one whose gradient it "
      "takes; 0: its own");
  }
  v("stochastic", k.stochastic, "paths draw noise; else they follow the ODE");
  v("particles", k.particles, Range{1, 1000},
    "gradient and reward are means over so many latents about the one that is "
    "judged");
  v("jitter", k.jitter, kNotNegative,
    "standard deviation of the noise that leads to them");
  v("first_step", k.first_step, kSamplerSteps,
    "steps before it are not trained");
  v("late_steps", k.late_steps, kSamplerSteps,
    "only so many last steps of a path are trained; 0: all");
  v("random_late_steps", k.random_late_steps,
    "a number of them between 1 and that, anew in every epoch");
  v("times", k.times, kSamplerSteps,
    "so many of these steps are trained, one of each even part, drawn anew "
    "for every path; 0: all");
  v("early_times", k.early_times, kSamplerSteps,
    "so many of them are any of the early steps, the others any of the rest, "
    "in place of even parts; 0: even parts");
  if (v.when(k.early_times > 0, "early_times")) {
    v("early_share", k.early_share, Range{0, 1, true},
      "share of the steps that are early");
  }
  v("last_time", k.last_time, "and the last one in any case");
  v("shared_times", k.shared_times,
    "all paths of an epoch train the same ones");
  v("prompt_dropout", k.prompt_dropout, Range{0, 1},
    "share of states whose outputs, the policy's and the reference's, are "
    "those of the empty prompt in the loss; their gradients are still "
    "their prompts'");
  v("norm_clip", k.norm_clip, kNotNegative,
    "bound on a gradient's norm; 0: none");
  v("norm_quantile", k.norm_quantile, Range{0, 1},
    "from the second epoch on that bound is this quantile of the norms of the "
    "epoch before, as they were taken; 0: it stays");
  v("discount", k.discount, Range{0, 1, true},
    "factor on the gradient for each step that is left after its own");
  v("of_sum", k.of_sum,
    "times half the latent's elements: the reward itself stands in a loss that "
    "is else a mean over them");
  v("positive_only", k.positive_only,
    "states whose picture has a reward of 0 or less are not trained");
  v("reject_above", k.reject_above, Range{0, 1, true},
    "states farther from their target than this quantile of their distances, "
    "averaged over epochs, are not trained; 1: all are");
  v("replay", k.replay, kEpochs,
    "as many paths as an epoch draws are trained, drawn from its own and those "
    "of so many epochs before; 0: its own");
  if (v.when(k.replay > 0, "replay")) {
    v("replay_age", k.replay_age, kEpochs,
      "epochs that the youngest of them lie back, where there are such; else "
      "the oldest are taken");
    v("replay_draw", k.replay_draw,
      "each path is as likely, and drawn once; or as likely as its `reward` is "
      "high, those of 0 or less never, and drawn any number of times");
  }
  v.group("value", k.value);
}

template <class Visitor>
void visit_network(Visitor& v, ScalarNetworkKnobs& k) {
  v("channels", k.channels, kUnetChannels,
    "of its network, a UNet's way down, level by level from the finest: "
    "multiples of 4; all but the last level attend to the prompt, of a "
    "surrogate the last alone");
  v("layers", k.layers, Range{1, 8}, "residual blocks of a level");
  v("lr", k.lr, kPositive, "learning rate of its AdamW");
  v("weight_decay", k.weight_decay, kNotNegative, "of the same");
  v("max_grad_norm", k.max_grad_norm, kPositive,
    "bound on its gradient's norm");
}

template <class Visitor>
void visit(Visitor& v, FlowKnobs& k) {
  v("use", k.use,
    "a learnt flow F of states; what a step's balance lacks is, with all "
    "log-densities means over latent elements, R = F' + b r' + log p_B − "
    "log p_F − F − b r. `none`: there is no F; `balance`: R² itself is lowered "
    "(DAG-DB); `advantage`: R is compared in place of a reward (DAG-KL)");
  if (!v.when(k.use != FlowKnobs::Use::none, "use")) return;
  v("reward_scale", k.reward_scale, kPositive,
    "b, of the reward of the picture predicted from a state, and of the path's "
    "own at its end");
  v("ramp", k.ramp, kEpochs, "epochs in which b rises from 0; 0: at once");
  visit_network(v, k);
  v("updates", k.updates, Range{1, 1000},
    "of F in an epoch, each on a share of its paths");
}

template <class Visitor>
void visit(Visitor& v, OldKnobs& k) {
  v("cap", k.cap, kShare,
    "a slower copy of the policy stands for y_old: after each epoch, with k "
    "updates behind it, copy = d copy + (1 − d) policy, d = min(start + rate "
    "(k − from), cap), 0 before `from`. 0: there is none");
  if (!v.when(k.is_kept(), "cap")) return;
  v("start", k.start, kShare, "of d");
  v("rate", k.rate, kShare, "of d");
  v("from", k.from, kEpochs, "updates");
}

template <class Visitor>
void visit(Visitor& v, PictureKnobs& k) {
  using enum PictureKnobs::Times;
  using enum PictureKnobs::Weight;
  using enum PictureKnobs::Coefficient;
  v("guidance", k.guidance,
    "what pulls: the samples, by their `rewards`; or a differentiable reward's "
    "derivative in the output, of the `picture` predicted from a state, or of "
    "what one `step` to the next time of the grid and the known noise lead to");
  v("sampled", k.sampled, "whose samples: the policy's, or its slower copy's");
  v("draws", k.draws, Range{1, 1000},
    "noisy states of a sample, each with a time and noise of its own");
  v("times", k.times,
    "how times are spread: even; by density t^power; as the sigmoid of a "
    "normal number; those of the sampler's own steps");
  v("stratified", k.stratified,
    "a sample's draws take an even share of that "
    "each, noisiest first");
  v("t_min", k.t_min, Range{0, 1}, "the cleanest");
  v("t_max", k.t_max, Range{0, 1}, "the noisiest");
  if (v.when(k.times == PictureKnobs::Times::power, "times")) {
    v("power", k.power, kNotNegative, "of that density");
  }
  if (v.when(k.times != grid, "times")) {
    v("shift", k.shift, kPositive,
      "t becomes shift t / (1 + (shift − 1) t): above 1, noisier");
  }
  v("shared", k.shared, "the samples of a prompt share times and noise");
  v.group("old", k.old);
  if (!v.when(!k.follows_gradients(), "guidance")) return;
  v("weight", k.weight,
    "what a sample weighs: its advantage A; e^(A / temperature), over its mean "
    "in the group; 1 where it is among the `top` of its group, else 0; 1 and "
    "−1 of the best and the worst of a group (DPO)");
  if (v.when(k.weight == advantage, "weight")) {
    v("squash", k.squash, kNotNegative,
      "A becomes squash tanh(A / squash); 0: it stays");
    v("advantage_scale", k.advantage_scale, kPositive,
      "times A, after it is clipped and squashed");
  }
  if (v.when(k.weight == exponential, "weight")) {
    v("temperature", k.temperature, kPositive, "of the exponential");
    v("raw", k.raw, "it is not divided by its mean");
  }
  if (v.when(k.weight == PictureKnobs::Weight::top, "weight")) {
    v("top", k.top, Range{0, 1, true}, "the share of a group");
  }
  v("coefficient", k.coefficient,
    "what stands before the distance's gradient. `plain`: the weight A; "
    "`residual`: A − sharpness δ, δ = L(y_old) − L(y) (PEPG, PAR); `centred`: "
    "δ less its group's mean (CRD); `linear`: A pulls, and nothing grows with "
    "y (RAM); `reflected`: two branches, of (A + 1) / 2 and the rest "
    "(DiffusionNFT); `sigmoid`: A sigmoid(mean of sharpness A (L − L_ref) over "
    "the group) (DGPO)");
  if (v.when(k.uses_sharpness(), "coefficient")) {
    v("sharpness", k.sharpness, kPositive,
      "above; of `reflected` how far its branches lie from y_old, of `pairs` "
      "the beta of DPO");
  }
  v("distance", k.distance,
    "L of a row, d = y − y_c, times h(t): <d²>; `relative`: <d²> / <|d|>, the "
    "divisor held; `power`: <d²>^exponent / exponent");
  if (v.when(k.distance == PictureKnobs::Distance::power, "distance")) {
    v("exponent", k.exponent, Range{0, 10, true}, "of that");
  }
}

template <class Visitor>
void visit(Visitor& v, SurrogateKnobs& k) {
  using enum SurrogateKnobs::At;
  v("at", k.at,
    "where a scorer of latents, learnt from the run's own pictures, says "
    "beforehand what a row's noise does to its reward; advantages are taken of "
    "what it gets wrong, its slope stands for the rest. `none`: there is no "
    "scorer; `picture`: its slope is that at the picture predicted from a "
    "state, its output held fixed; `network`: that through the network, at the "
    "mean of the state's rows");
  if (!v.when(k.at != none, "at")) return;
  v("coefficient", k.coefficient, kNotNegative,
    "how much of that is taken; 0: what earlier epochs say, step by step");
  v("decay", k.decay, Range{0, 1},
    "how much an epoch counts there, and in the rewards' mean and spread, one "
    "epoch later");
  visit_network(v, k);
  v("updates", k.updates, Range{1, 1000},
    "of the scorer in an epoch, each on at most 32 of its pictures");
}

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
    "pictures "
    "are, by how good they are");
  v("shared_start", k.shared_start,
    "a prompt's samples share their first noise");
  if (v.when(k.source == trajectory, "source")) {
    v.group("gradient", k.gradient);
  }
  if (!v.when(k.source != trajectory, "source")) return;
  if (v.when(k.source == rollout, "source")) v.group("flow", k.flow);
  if (v.when(k.source == pictures, "source")) v.group("pictures", k.pictures);
  if (v.when(k.source != pictures, "source") && v.when(!k.has_flow(), "flow")) {
    v.group("surrogate", k.surrogate);
  }
  if (!v.when(k.flow.use != FlowKnobs::Use::balance, "flow")) return;
  if (!v.when(!k.needs_gradients(), "pictures")) return;
  v("grouping", k.grouping,
    "compared: all paths of a prompt, or its branches or nodes at the same "
    "step; those of one root at one step (`seed`) or at all steps (`root`), "
    "neither for `rollout` and `pictures`; all of the epoch, nodes: of a step "
    "(`batch`)");
  v("baseline", k.baseline,
    "taken off a reward: its group's mean; that of the others in it; the mean "
    "of the prompt's last rewards over epochs (DDPO); nothing");
  v("spread", k.spread,
    "a centred reward is divided by its group's standard deviation, that of "
    "all rewards, or nothing");
  v("combine", k.combine,
    "several rewards are summed before they are compared, or compared one by "
    "one and their advantages summed");
  v("spread_offset", k.spread_offset, kNotNegative, "added to the spread");
  v("unbiased_spread", k.unbiased_spread, "squares divided by n − 1, not n");
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
        "K_i by step: N or N − 1 counts for N sampler steps, the Nth 0");
    }
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
void visit(Visitor& v, RegularisationKnobs& k) {
  v("beta", k.beta, kNotNegative, "weight of the KL to the reference");
  v("old", k.old, kNotNegative,
    "weight of <(y − y_old)²>, y_old the outputs before the epoch's updates; "
    "clipping does not touch it");
  v("kl_form", k.kl_form, "below");
  v("pull_rows", k.pull_rows, "the KL at steps with rows");
  v("anchors", k.anchors,
    "the KL also at steps without branches (needs `branches`, beta above 0)");
  v("anchor_share", k.anchor_share, kNotNegative,
    "so many anchors for each row of the epoch, at random; 0: all");
  v("importance", k.importance, "form of the loss, below");
  v("clip_in", k.clip_in, "what the clip range bounds, below");
  v("clip_range", k.clip_range, kNotNegative,
    "xi, above 0; not used by `importance: none`");
  v("advantage_clip", k.advantage_clip, kPositive, "bound on \\|A\\|");
  v("mask", k.mask, "what rows without an advantage lose, below");
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
