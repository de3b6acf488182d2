// Guidance to new weights: an epoch's updates.

#include <algorithm>
#include <cmath>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/runs/average.h"
#include "rsm/runs/clip_gradients.h"
#include "rsm/runs/optimizer_step.h"
#include "rsm/train/finetune.h"
#include "rsm/train/health.h"
#include "rsm/train/update_states.h"

namespace rsm {
namespace {

/** Learning rate of an epoch. */
double learning_rate(const RunOptions& options, int64_t epoch) {
  return options.lr_decay
             ? options.lr * static_cast<double>(options.epochs - epoch) /
                   static_cast<double>(options.epochs)
             : options.lr;
}

}  // namespace

UpdateLog Finetune::update(const Prepared& epoch) {
  const Clock clock;
  UpdateLog log;
  log.lr = learning_rate(options_, state_.epoch);
  for (const auto& [weights, states] : updates_of(
           options_, state_.epoch, epoch.sampled.rollout, epoch.guidance)) {
    ranks_.check_same("how many states an update has",
                      std::to_string(states.size()));
    if (states.empty()) continue;
    step(gradients_of(epoch, weights, states, log), epoch, log);
  }
  policy_->watch(&progress_);
  log.seconds = clock.seconds();
  return log;
}

std::vector<torch::Tensor> Finetune::gradients_of(
    const Prepared& epoch, const UpdateWeights& weights,
    const std::vector<int64_t>& states, UpdateLog& log) {
  const auto& guidance = epoch.guidance;
  const auto& frozen = epoch.frozen;
  const auto& rollout = epoch.sampled.rollout;
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
                              options_.method.regularisation.log_range())
                  : 0);
        return map.backward(result.gradient);
      },
      torch::tensor(states, at::kLong));
  recorder.finish(ranks_);
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
