#include "rsm/estimators/zeroth_order.h"

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/data/certainty.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/diversity.h"
#include "rsm/estimators/estimators.h"
#include "rsm/estimators/pruning.h"

namespace rsm {
namespace {

/** Of tensors in its state. */
constexpr const char* kGate = "gate";

}  // namespace

ZerothOrder::ZerothOrder(const Method& method, uint64_t seed)
    : method_(method),
      seed_(seed),
      statistics_(method.estimator.buffer_size),
      gate_(method.regularisation.gate) {}

Guidance ZerothOrder::guide(const Sampled& sampled, int64_t epoch) {
  auto knobs = method_.estimator;
  knobs.tree.skip_steps = skipped_steps(knobs.tree, epoch);
  const auto soft = soft_return(method_, sampled.rollout);
  Guidance out;
  const double clip = method_.regularisation.advantage_clip;
  out.advantages = row_advantages(sampled.rollout, sampled.scores, knobs, clip,
                                  &statistics_, soft);
  if (!soft.cost.empty()) {
    out.numbers["later_cost"] = mean_of(soft.cost);
    out.by_step["later_cost"] = cost_by_step(sampled.rollout, soft);
  }
  if (knobs.diversity != EstimatorKnobs::Diversity::none) {
    count_diversity(sampled.rollout,
                    knobs.diversity == EstimatorKnobs::Diversity::pixels
                        ? sampled.scores.features
                        : sampled.rollout.latents.flatten(1),
                    clip, out.advantages);
  }
  if (method_.regularisation.gate.is_on()) {
    gate_.hold(sampled.rollout, sampled.scores, out);
  }
  out.trained = trained_states(
      sampled.rollout, method_.regularisation.anchor_share,
      counted_seed(seed_, Purpose::anchors, {static_cast<uint64_t>(epoch)}));
  return out;
}

StateDict ZerothOrder::state() const {
  auto out = statistics_.state();
  if (method_.regularisation.gate.is_on()) out[kGate] = gate_.state();
  return out;
}

void ZerothOrder::load_state(const StateDict& state) {
  auto statistics = state;
  if (method_.regularisation.gate.is_on()) {
    const auto found = state.find(kGate);
    RSM_CHECK(found != state.end(), "[gate] the saved state has no \"", kGate,
              "\"; resume from another checkpoint or start a new run");
    gate_.load_state(found->second);
    statistics.erase(kGate);
  }
  statistics_.load_state(statistics);
}

}  // namespace rsm
