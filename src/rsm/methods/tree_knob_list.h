#pragma once

#include "rsm/base/method.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

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

}  // namespace rsm
