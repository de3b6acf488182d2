#include "rsm/estimators/zeroth_order.h"

#include "rsm/base/error.h"
#include "rsm/base/random.h"
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
    : knobs_(method.estimator),
      advantage_clip_(method.regularisation.advantage_clip),
      anchor_share_(method.regularisation.anchor_share),
      seed_(seed),
      statistics_(method.estimator.buffer_size),
      gate_knobs_(method.regularisation.gate),
      gate_(gate_knobs_) {}

Guidance ZerothOrder::guide(const Sampled& sampled, int64_t epoch) {
  auto knobs = knobs_;
  knobs.tree.skip_steps = skipped_steps(knobs.tree, epoch);
  Guidance out;
  out.advantages = row_advantages(sampled.rollout, sampled.scores, knobs,
                                  advantage_clip_, &statistics_);
  if (knobs.diversity != EstimatorKnobs::Diversity::none) {
    count_diversity(sampled.rollout,
                    knobs.diversity == EstimatorKnobs::Diversity::pixels
                        ? sampled.scores.features
                        : sampled.rollout.latents.flatten(1),
                    advantage_clip_, out.advantages);
  }
  if (gate_knobs_.is_on()) gate_.hold(sampled.rollout, sampled.scores, out);
  out.trained = trained_states(
      sampled.rollout, anchor_share_,
      counted_seed(seed_, Purpose::anchors, {static_cast<uint64_t>(epoch)}));
  return out;
}

StateDict ZerothOrder::state() const {
  auto out = statistics_.state();
  if (gate_knobs_.is_on()) out[kGate] = gate_.state();
  return out;
}

void ZerothOrder::load_state(const StateDict& state) {
  auto statistics = state;
  if (gate_knobs_.is_on()) {
    const auto found = state.find(kGate);
    RSM_CHECK(found != state.end(), "[gate] the saved state has no \"", kGate,
              "\"; resume from another checkpoint or start a new run");
    gate_.load_state(found->second);
    statistics.erase(kGate);
  }
  statistics_.load_state(statistics);
}

}  // namespace rsm
