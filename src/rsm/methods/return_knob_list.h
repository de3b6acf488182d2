#pragma once

#include "rsm/base/method.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

template <class Visitor>
void visit_return(Visitor& v, EstimatorKnobs::Return& returns) {
  v("return", returns,
    "what a row is compared by, or its gradient is of. `hard`: the reward. "
    "`soft`: the reward less what the steps behind it pay for their KL to the "
    "reference, at the method's own temperature. `exponential`: e^(A / "
    "temperature) over its group's mean, of `rollout` and `branches`, as long "
    "as the policy is near the reference");
}

}  // namespace rsm
