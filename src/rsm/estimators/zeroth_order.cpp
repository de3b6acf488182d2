#include "rsm/estimators/zeroth_order.h"

#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/estimators.h"
#include "rsm/estimators/pruning.h"

namespace rsm {

ZerothOrder::ZerothOrder(const Method& method, uint64_t seed)
    : knobs_(method.estimator),
      advantage_clip_(method.regularisation.advantage_clip),
      anchor_share_(method.regularisation.anchor_share),
      seed_(seed),
      statistics_(method.estimator.buffer_size) {}

Guidance ZerothOrder::guide(const Sampled& sampled, int64_t epoch) {
  auto knobs = knobs_;
  knobs.tree.skip_steps = skipped_steps(knobs.tree, epoch);
  Guidance out;
  out.advantages = row_advantages(sampled.rollout, sampled.scores, knobs,
                                  advantage_clip_, &statistics_);
  out.trained = trained_states(
      sampled.rollout, anchor_share_,
      counted_seed(seed_, Purpose::anchors, {static_cast<uint64_t>(epoch)}));
  return out;
}

}  // namespace rsm
