// What frozen copies of the policy say, before an epoch's updates.

#include <algorithm>
#include <iterator>

#include "rsm/base/clock.h"
#include "rsm/base/random.h"
#include "rsm/runs/watched_states.h"
#include "rsm/train/finetune.h"
#include "rsm/train/health.h"
#include "rsm/train/update_states.h"

namespace rsm {
namespace {

/** A copy's outputs at some states, which are taken a few tiles at a time. */
torch::Tensor outputs_at(Denoiser& copy, const Rollout& rollout,
                         const LossConditions& conditions,
                         const std::vector<int64_t>& states, int64_t tile) {
  const int64_t at_once = std::max<int64_t>(1, 1024 / tile) * tile;
  auto shape = rollout.x.sizes().vec();
  shape[0] = std::ssize(states);
  auto out = at::empty(shape, at::kFloat);
  for (int64_t first = 0; first < shape[0]; first += at_once) {
    const int64_t last = std::min(first + at_once, shape[0]);
    const std::vector<int64_t> some(states.begin() + first,
                                    states.begin() + last);
    out.slice(0, first, last)
        .copy_(copy.predict(
            rollout.x.index_select(0, torch::tensor(some, at::kLong)),
            times_of(rollout, some), conditions.of(some)));
  }
  return out;
}

/** Of `wanted`, rising, those that are not among `known`. */
std::vector<int64_t> unknown_of(const std::vector<int64_t>& wanted,
                                const StateOutputs& known) {
  std::vector<int64_t> out;
  std::set_difference(wanted.begin(), wanted.end(), known.states.begin(),
                      known.states.end(), std::back_inserter(out));
  return out;
}

/** Both kinds of outputs at `wanted`: what is asked now, and what is known of
 * the others. */
StateOutputs with_known(const StateOutputs& asked, const StateOutputs& known,
                        const std::vector<int64_t>& wanted) {
  if (asked.states.size() == wanted.size()) return asked;
  auto states = asked.states;
  const auto rest = unknown_of(wanted, asked);
  states.insert(states.end(), rest.begin(), rest.end());
  return in_order(at::cat({asked.y, known.of(rest)}), states);
}

}  // namespace

Frozen Finetune::freeze(const Collected& sampled, const Guidance& guidance) {
  const Clock clock;
  const auto& rollout = sampled.rollout;
  Frozen out;
  out.conditions = LossConditions(sampled, guidance.unprompted, empty_prompt_);
  const auto outputs = [&](Copy which, const std::vector<int64_t>& states) {
    return StateOutputs{
        outputs_at(policy_->copy(which), rollout, out.conditions, states,
                   options_.train_tiles.tile),
        states};
  };
  // Where an update's first outputs are to be these, bit for bit. Its batches
  // are laid out anew then: reject() and weigh() may change the guidance in
  // between.
  const auto outputs_in_updates = [&](Copy which,
                                      const std::vector<int64_t>& states) {
    if (states.empty() || states.size() < guidance.trained.size()) {
      return outputs(which, states);
    }
    std::vector<torch::Tensor> y;
    std::vector<int64_t> all;
    for (const auto& batch : in_the_batches_of(
             updates_of(options_, state_.epoch, rollout, guidance), states)) {
      y.push_back(outputs(which, batch).y);
      all.insert(all.end(), batch.begin(), batch.end());
    }
    return in_order(at::cat(y), all);
  };
  const auto& pictures = options_.method.estimator.pictures;
  const bool known = policy_->rollout_is_training() && !sampled.is_replayed &&
                     rollout.y.size(0) == rollout.states() &&
                     rollout.noised_from == 0 &&
                     options_.method.estimator.gradient.prompt_dropout == 0;
  const auto seed = counted_seed(options_.seed, Purpose::watched_states,
                                 {static_cast<uint64_t>(state_.epoch)});
  const bool is_slower = pictures.old.is_kept();
  out.old = known ? StateOutputs{rollout.y, all_states(rollout)}
                  : outputs_in_updates(
                        is_slower ? Copy::old : Copy::training,
                        old_states(options_.method, options_.updates_per_epoch,
                                   rollout, guidance.trained, seed));
  if (is_slower && pictures.compares_outputs()) {
    out.present = outputs(Copy::training, guidance.trained);
  }
  out.old_evaluations =
      known ? 0 : std::ssize(out.old.states) + std::ssize(out.present.states);
  const auto wanted =
      reference_states(options_.method, rollout, guidance.trained, seed);
  const auto asked =
      outputs(Copy::reference, unknown_of(wanted, rollout.reference));
  out.reference = with_known(asked, rollout.reference, wanted);
  const auto& pull = options_.method.regularisation;
  if (pull.has_own_reference()) {
    out.guided_reference = outputs(Copy::guided_reference, guidance.trained);
  }
  out.reference_evaluations =
      std::ssize(asked.states) + std::ssize(out.guided_reference.states);
  out.map = OutputMap::of(options_.method, rollout);
  if (!known) {
    if (out.map.changes()) {
      out.old.y = out.map.select(out.old.states, torch::kCPU)
                      .forward(out.old.y, out.reference.of(out.old.states));
    }
    out.rollout_gap = rollout_gap(options_.method, rollout, out, guidance);
  }
  out.drift = measure_drift(rollout, out);
  if (pull.reset.is_on()) {
    out.reference_kl = distance_to_pull(pull, rollout, out);
  }
  const auto far = drift_warning(out.drift.mean_kl(rollout, guidance.trained),
                                 out.drift.output_ratio, options_.folder);
  if (!far.empty()) {
    out.warnings.push_back(far);
  } else if (saved_epoch_ == state_.epoch) {
    state_.healthy_epoch = saved_epoch_;
  }
  out.seconds = clock.seconds();
  state_.spent.evaluations += out.old_evaluations + out.reference_evaluations;
  return out;
}

}  // namespace rsm
