#pragma once

#include "rsm/base/picture_knobs.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

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
  if (v.when(k.times == grid, "times")) {
    v("distinct", k.distinct,
      "no step's time comes twice in a sample's draws before all came: with 9 "
      "of 10 steps each sample leaves out one at random (DiffusionNFT); takes "
      "the place of `stratified`");
  }
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
    v("mode", k.mode,
      "which advantages count, once clipped: all; the good or the bad alone, "
      "others 0; 1 of the good, else 0; their signs (DiffusionNFT)");
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
  if (v.when(k.has_ratio(), "coefficient")) {
    v("clip", k.clip, kNotNegative,
      "a row whose ratio e^δ went the way of its weight by more than this has "
      "no gradient, and else the ratio counts for nothing (DGPO); 0: none");
  }
  v("distance", k.distance,
    "L of a row, d = y − y_c, times h(t): <d²>; `relative`: <d²> / <|d|>, the "
    "divisor held; `power`: <d²>^exponent / exponent");
  if (v.when(k.distance == PictureKnobs::Distance::power, "distance")) {
    v("exponent", k.exponent, Range{0, 10, true}, "of that");
  }
}

}  // namespace rsm
