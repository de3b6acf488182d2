#pragma once

#include "rsm/base/flow_knobs.h"
#include "rsm/base/surrogate_knobs.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

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

}  // namespace rsm
