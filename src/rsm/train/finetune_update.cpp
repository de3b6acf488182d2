// Guidance to new weights: an epoch's updates.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/rows.h"
#include "rsm/runs/average.h"
#include "rsm/runs/clip_gradients.h"
#include "rsm/runs/optimizer_step.h"
#include "rsm/train/finetune.h"
#include "rsm/train/health.h"

namespace rsm {
namespace {

/** Learning rate of an epoch. */
double learning_rate(const RunOptions& options, int64_t epoch) {
  return options.lr_decay
             ? options.lr * static_cast<double>(options.epochs - epoch) /
                   static_cast<double>(options.epochs)
             : options.lr;
}

/** The trained states of each update, shuffled. */
std::vector<std::vector<int64_t>> split_into_updates(
    const RunOptions& options, int64_t epoch,
    const std::vector<int64_t>& trained) {
  const auto order =
      counted_permutation(counted_seed(options.seed, Purpose::update_order,
                                       {static_cast<uint64_t>(epoch)}),
                          std::ssize(trained));
  const auto count = static_cast<size_t>(options.updates_per_epoch);
  std::vector<std::vector<int64_t>> updates(count);
  for (size_t u = 0; u < count; ++u) {
    for (size_t i = order.size() * u / count;
         i < order.size() * (u + 1) / count; ++i) {
      updates[u].push_back(trained[order[i]]);
    }
  }
  return updates;
}

/** States of an update that have a gradient: those with a row that weighs
 * something and has an advantage, or with a pull. */
std::vector<int64_t> states_that_matter(const RolloutIndex& rollout,
                                        const Advantages& advantages,
                                        const UpdateWeights& weights,
                                        const std::vector<int64_t>& states) {
  std::vector<bool> matters(rollout.states(), false);
  const auto values = advantages.value.to(at::kCPU).contiguous();
  const float* value = values.const_data_ptr<float>();
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (weights.row[r] > 0 && value[r] != 0) {
      matters[rollout.row_state[r]] = true;
    }
  }
  std::vector<int64_t> used;
  std::copy_if(
      states.begin(), states.end(), std::back_inserter(used), [&](int64_t s) {
        return matters[s] || weights.k_ref[s] > 0 || weights.k_old[s] > 0;
      });
  return used;
}

/** Outputs of states that stand in any order. */
StateOutputs in_order(const torch::Tensor& y,
                      const std::vector<int64_t>& states) {
  std::vector<int64_t> order(states.size()), rising;
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return states[a] < states[b]; });
  for (const int64_t place : order) rising.push_back(states[place]);
  return {y.index_select(0, torch::tensor(order, at::kLong).to(y.device())),
          rising};
}

}  // namespace

UpdateLog Finetune::update(const Prepared& epoch) {
  const Clock clock;
  const auto& rollout = epoch.sampled.rollout;
  const auto& advantages = epoch.guidance.advantages;
  UpdateLog log;
  log.lr = learning_rate(options_, state_.epoch);
  for (const auto& states :
       split_into_updates(options_, state_.epoch, epoch.guidance.trained)) {
    const auto weights =
        update_weights(options_.method, rollout, advantages, states);
    const auto used = states_that_matter(rollout, advantages, weights, states);
    if (used.empty()) continue;
    step(gradients_of(epoch, weights, used, log), epoch, log);
  }
  policy_->watch(&progress_);
  log.seconds = clock.seconds();
  return log;
}

std::vector<torch::Tensor> Finetune::gradients_of(
    const Prepared& epoch, const UpdateWeights& weights,
    const std::vector<int64_t>& states, UpdateLog& log) {
  const auto& [sampled, guidance, frozen] = epoch;
  const auto& rollout = sampled.rollout;
  const auto all = all_states(rollout);
  const bool first =
      log.updates == 0 && !options_.method.estimator.pictures.old.is_kept();
  // Else the outputs that the update begins with are y_old.
  const bool old_is_known = frozen.old.states.size() >= guidance.trained.size();
  UpdateRecorder recorder(rollout, states, log);
  auto gradients = policy_->trained_network().gradients(
      rollout.x, times_of(rollout, all), frozen.conditions.of(all),
      policy_->parameters(),
      [&](int64_t begin, int64_t count, const torch::Tensor& y) {
        const std::vector<int64_t> part(states.begin() + begin,
                                        states.begin() + begin + count);
        const auto met = old_is_known ? Outputs()
                                      : Outputs{in_order(y, part),
                                                frozen.reference,
                                                {},
                                                frozen.guided_reference};
        auto terms =
            loss_terms(options_.method, rollout, old_is_known ? frozen : met,
                       guidance, weights, part, y.device());
        const auto map = frozen.map.select(part, y.device());
        const auto y_ref = map.changes()
                               ? frozen.reference.of(part).to(y.device())
                               : torch::Tensor();
        const auto output = map.forward(y, y_ref);
        estimator_->at_output(output, terms);
        const auto result = rsm_loss(output, terms.states, terms.rows);
        recorder.record(
            part, result,
            first ? first_gap(result.rows, output, terms.states,
                              options_.method.regularisation.clip_range)
                  : 0);
        return map.backward(result.gradient);
      },
      torch::tensor(states, at::kLong));
  recorder.finish();
  if (first && log.first_gap > 0) {
    log.warnings.push_back(
        cat("before the first update a log-ratio is ", log.first_gap,
            ", not 0: the device gives other last bits for the same state"));
  }
  log.evaluations += std::ssize(states);
  state_.spent.evaluations += std::ssize(states);
  return gradients;
}

void Finetune::step(std::vector<torch::Tensor> gradients, const Prepared& epoch,
                    UpdateLog& log) {
  const torch::NoGradGuard no_grad;
  const double norm = clip_in_place(gradients, options_.max_grad_norm);
  if (!std::isfinite(norm)) {
    skip(gradients, epoch, log);
    return;
  }
  state_.skipped_in_a_row = 0;
  log.grad_norms.push_back(norm);
  static_cast<torch::optim::AdamWOptions&>(
      optimiser_->param_groups()[0].options())
      .lr(log.lr);
  policy_->watch(nullptr);  // half an epoch's updates would be no epoch
  step_along(*optimiser_, gradients);
  ++state_.spent.updates;
  if (state_.spent.updates % options_.ema_every == 0) {
    policy_->update_average(average_decay(options_, state_.spent.updates));
  }
}

void Finetune::skip(const std::vector<torch::Tensor>& gradients,
                    const Prepared& epoch, UpdateLog& log) {
  ++log.skipped;
  ++state_.skipped_in_a_row;
  const auto found = std::find_if(
      gradients.begin(), gradients.end(),
      [](const torch::Tensor& g) { return !g.isfinite().all().item<bool>(); });
  const std::string what =
      cat("the gradient of ", policy_->names()[found - gradients.begin()],
          " is not finite; ",
          why_not_finite(epoch.frozen.old.y, epoch.mean_kl(),
                         epoch.frozen.drift.output_ratio));
  RSM_CHECK(state_.skipped_in_a_row < kMostSkippedInARow, "[finetune] epoch ",
            state_.epoch + 1, ": ", kMostSkippedInARow,
            " updates in a row were skipped: ", what, ". ",
            way_back(options_.folder));
  log.warnings.push_back("update skipped: " + what);
}

}  // namespace rsm
