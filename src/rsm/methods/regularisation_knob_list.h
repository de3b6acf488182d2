#pragma once

#include "rsm/base/regularisation_knobs.h"
#include "rsm/methods/knob_ranges.h"

// A part of the list of knobs; see methods/knobs.h.
namespace rsm {

template <class Visitor>
void visit(Visitor& v, GateKnobs& k) {
  v("share", k.share, kShare,
    "above 0, beta pulls at the most suspicious samples alone, as much as at "
    "all together: at first this share of those that rank higher in what is "
    "trained than, in the mean, in the rewards of weight 0 (GARDO). 0: at all");
  if (!v.when(k.is_on(), "share")) return;
  v("least", k.least, kShare, "that the share falls to");
  v("most", k.most, kShare, "that it rises to");
  v("rate", k.rate, kShare,
    "by which it rises where samples are more suspicious in the mean than in "
    "any epoch remembered, and falls where they are less");
  v("memory", k.memory, Range{1, 1e6}, "epochs");
}

template <class Visitor>
void visit(Visitor& v, ResetKnobs& k) {
  v("kl", k.kl, kNotNegative,
    "the reference that pulls becomes the policy where the policy is this far "
    "from it, in units of what beta multiplies (GARDO); 0: whatever that is");
  v("every", k.every, kEpochs, "and after so many epochs with one; 0: never");
}

template <class Visitor>
void visit(Visitor& v, RegularisationKnobs& k) {
  v("beta", k.beta, kNotNegative, "weight of the KL to the reference");
  v("reference_guidance", k.reference_guidance, Range{0, 100},
    "text guidance of the reference where it pulls (CRD); 0: that of the loss");
  v("least_pull", k.least_pull, kShare,
    "of `pictures`: the share of beta that a sample of A = −advantage_clip "
    "has; it rises with A to the whole of it (CRD); 1: all have that");
  v.group("gate", k.gate);
  v.group("reset_reference", k.reset);
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

}  // namespace rsm
