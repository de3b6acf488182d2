#pragma once

#include "rsm/base/budget_knobs.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

template <class Visitor>
void visit(Visitor& v, BudgetKnobs& k) {
  v("every", k.every, kEpochs,
    "after each so many epochs, and before the first, K_i is chosen anew by "
    "measurement, for the network evaluations of the K_i that are configured "
    "(`branches: auto`: those of the profile, every 10 epochs); 0: never");
  if (!v.when(k.is_on(), "every")) return;
  v("least_worth", k.least_worth, Range{0, 1, true},
    "times branch that have this share of the best one's gain by cost");
  v("strength", k.strength,
    "whether h(t) is also times the gain over the noise of K_i branches, the "
    "sum of h over the steps that branch staying as it is");
}

}  // namespace rsm
