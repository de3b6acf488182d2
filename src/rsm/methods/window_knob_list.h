#pragma once

#include "rsm/base/method.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

template <class Visitor>
void visit(Visitor& v, WindowKnobs& k) {
  v("size", k.size, kSamplerSteps,
    "so many steps of a path draw noise and are rows, elsewhere it takes the "
    "ODE's steps (MixGRPO); 0: all but the last do");
  if (!v.when(k.is_on(), "size")) return;
  v("start", k.start, kSamplerSteps, "the first of them");
  v("move", k.move,
    "after each `every` epochs: `frozen`, nothing; `progressive`, one step "
    "towards the picture, until the steps end; `random`, anywhere from `start` "
    "on");
  if (v.when(k.move != WindowKnobs::Move::frozen, "move")) {
    v("every", k.every, Range{1, 1e9}, "epochs");
  }
  v("continuation", k.continuation, Range{0, 1, true},
    "share of the steps behind them that a path takes, by a second-order "
    "solver (MixGRPO-Flash); 1: the ODE's own");
}

}  // namespace rsm
