// Branches that a run chooses by measurement.

#include <utility>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/train/finetune.h"

namespace rsm {

void Finetune::set_branches(std::vector<int64_t> branches,
                            std::vector<double> weights) {
  options_.method.estimator.branches = std::move(branches);
  plan_ = options_.plan();
  plan_.weights = std::move(weights);
  transitions_ = plan_.transitions(*parts_.model.path);
  describe(false);
}

void Finetune::choose() {
  choice_ = {};
  if (!options_.method.estimator.budget.is_due(state_.epoch)) return;
  progress_.begin(cat("epoch ", state_.epoch + 1, " branches"), 0);
  const Clock clock;
  choice_ = choose_branches(options_, configured_branches_,
                            collector(plan_).request(state_.epoch),
                            policy_->copy(Copy::rollout), *parts_.model.path,
                            *parts_.model.decoder, *parts_.reward);
  progress_.end();
  choice_.seconds = clock.seconds();
  state_.spent.images += choice_.images;
  state_.spent.evaluations += choice_.evaluations;
  set_branches(choice_.branches, choice_.weights);
}

void Finetune::log_choice(Guidance& guidance) const {
  const auto& knobs = options_.method.estimator;
  if (!knobs.budget.is_on()) return;
  guidance.by_step["branches"] = {knobs.branches.begin(), knobs.branches.end()};
  guidance.by_step["branches"].resize(options_.steps, 0);
  if (!plan_.weights.empty()) guidance.by_step["weight"] = plan_.weights;
  for (const auto& [name, numbers] : choice_.by_step) {
    guidance.by_step[name] = numbers;
  }
}

void Finetune::continue_branches() {
  auto branches = chosen_branches(options_, state_.line);
  if (branches.empty()) return;
  set_branches(std::move(branches), chosen_weights(options_, state_.line));
}

}  // namespace rsm
