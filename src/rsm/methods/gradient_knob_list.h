#pragma once

#include "rsm/base/gradient_knobs.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

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

}  // namespace rsm
