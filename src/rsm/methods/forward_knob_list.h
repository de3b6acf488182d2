#pragma once

#include "rsm/base/forward_knobs.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

constexpr Range kForwardRows = {0, 1000};

template <class Visitor>
void visit(Visitor& v, ForwardKnobs& k) {
  auto& p = k.pictures;
  v("rows", p.draws, kForwardRows,
    "so many times each picture that a branch leads to is noised again, and "
    "trained on beside the branches as `pictures` are, with its branch's "
    "advantage: rows that cost no picture. 0: none");
  if (!v.when(k.is_on(), "rows")) return;
  v("weight", k.weight, kPositive,
    "of their loss, a mean of its own, beside the branches'");
  v("shape", k.shape,
    "h(t) of their distance: flat, linear, quadratic, predicted, "
    "predicted_squared or exact");
  v("beta", k.beta, kNotNegative, "weight of <(y − y_ref)²> at them");
  v("times", p.times, "as `pictures.times`, by density t for `power`");
  v("stratified", p.stratified, "as of `pictures`");
  v("t_min", p.t_min, kShare, "the cleanest");
  v("t_max", p.t_max, kShare, "the noisiest");
  if (v.when(p.times != PictureKnobs::Times::grid, "times")) {
    v("shift", p.shift, kPositive, "as of `pictures`");
  }
  v("advantage_scale", p.advantage_scale, kPositive, "times A, of them alone");
  v("coefficient", p.coefficient,
    "as of `pictures`, where it compares no outputs of a group: plain, "
    "residual, linear or reflected");
  if (v.when(p.uses_sharpness(), "coefficient")) {
    v("sharpness", p.sharpness, kPositive, "as of `pictures`");
  }
  if (v.when(p.has_ratio(), "coefficient")) {
    v("clip", p.clip, kNotNegative,
      "as of `pictures`; clip_range is not theirs");
  }
  v("distance", p.distance, "as of `pictures`, the exponent of `power` 1/4");
}

}  // namespace rsm
