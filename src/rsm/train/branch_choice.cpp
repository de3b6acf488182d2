#include "rsm/train/branch_choice.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/doubles.h"
#include "rsm/base/random.h"
#include "rsm/estimators/sibling_rewards.h"
#include "rsm/objective/strength.h"
#include "rsm/runs/judged.h"
#include "rsm/train/collector.h"
#include "rsm/train/health.h"

namespace rsm {
namespace {

/** Network evaluations that a picture is taken to cost besides those that lead
 * to it: it is decoded, judged and trained on. Seconds would tell more, and
 * choose otherwise on every machine. */
constexpr double kPictureCost = 1;

/** Siblings at every step, and nothing else. */
RolloutPlan siblings_plan(const RunOptions& options) {
  auto method = options.method;
  method.estimator.branches.assign(options.steps - 1, kLeastBranches);
  method.estimator.forward = {};
  method.estimator.returns = EstimatorKnobs::Return::hard;
  method.regularisation.anchors = false;
  return make_plan(method, options.steps, options.noise,
                   options.continuation_steps);
}

/** Gain by cost, over that of the best; 0 where there is none. */
std::vector<double> shares_of(const std::vector<StepWorth>& steps) {
  std::vector<double> out;
  for (const auto& step : steps) out.push_back(step.gain() / step.cost);
  const double best = *std::max_element(out.begin(), out.end());
  for (auto& share : out) share = best > 0 ? share / best : 0;
  return out;
}

}  // namespace

std::vector<StepWorth> worth_by_step(const Method& method,
                                     const RolloutPlan& plan,
                                     const Transitions& transitions,
                                     const std::vector<double>& variance,
                                     const std::vector<double>& odd) {
  std::vector<StepWorth> out;
  for (size_t i = 0; i < variance.size(); ++i) {
    const double cost =
        kPictureCost +
        static_cast<double>(plan.continuation_at(static_cast<int64_t>(i)));
    const double h = guidance_strength(method.strength, transitions[i]);
    const double spread = sibling_spread(method.estimator, variance[i]);
    const double by_variance = h * h / (spread * spread);
    const double noise = by_variance * variance[i];
    if (!(noise > 0)) {
      out.push_back({.signal = 0, .noise = 1, .cost = cost});
      continue;
    }
    out.push_back({by_variance * odd[i], noise, cost, spread});
  }
  return out;
}

std::vector<double> weights_by_step(const Method& method,
                                    const Transitions& transitions,
                                    const std::vector<StepWorth>& worth,
                                    const std::vector<int64_t>& branches) {
  std::vector<double> out(worth.size(), 1);
  double before = 0, after = 0;
  for (size_t i = 0; i < worth.size(); ++i) {
    if (branches[i] == 0) continue;
    const double h = guidance_strength(method.strength, transitions[i]);
    out[i] =
        worth[i].gain() / worth[i].noise * static_cast<double>(branches[i]);
    before += h;
    after += h * out[i];
  }
  for (size_t i = 0; i < worth.size(); ++i) {
    if (branches[i] > 0) out[i] *= before / after;
  }
  return out;
}

BranchChoice choose_branches(const RunOptions& options,
                             const std::vector<int64_t>& branches,
                             RolloutRequest request, Denoiser& sampler,
                             const Path& path, const Decoder& decoder,
                             const Reward& reward) {
  request.run_seed = counted_seed(request.run_seed, Purpose::branch_choice, {});
  BranchChoice out;
  auto plan = siblings_plan(options);
  const auto rewards = [&](bool mirrored) {
    plan.mirrored = mirrored;
    auto rollout = make_room(path, plan, request);
    const auto prompts = std::ssize(request.prompts);
    const int64_t parts = rollout_parts(rollout, prompts, /*is_remote=*/false);
    for (int64_t p = 0; p < parts; ++p) {
      const int64_t first = prompts * p / parts;
      draw(sampler, path, plan, request,
           {first, prompts * (p + 1) / parts - first}, rollout);
    }
    check_finite(rollout.latents, options.folder);
    out.images += rollout.images();
    out.evaluations += rollout.evaluations;
    return judged(rollout, decoder, reward, 0, rollout.images())
        .value.to(at::kDouble)
        .view({-1, options.steps - 1, kLeastBranches});
  };
  const auto usual = rewards(false);
  const auto siblings = sibling_rewards(usual, rewards(true));
  const auto variance = doubles_of(siblings.variance.mean(0));
  const auto odd = doubles_of(siblings.odd.mean(0));
  const auto transitions = plan.transitions(path);
  const auto worth =
      worth_by_step(options.method, plan, transitions, variance, odd);
  out.branches = budget_by_worth(worth, budget_cost(worth, branches),
                                 options.method.estimator.budget.least_worth);
  out.branches.push_back(0);
  if (std::none_of(out.branches.begin(), out.branches.end(),
                   [](int64_t k) { return k > 0; })) {
    out.branches = branches;
    out.branches.resize(options.steps, 0);
  } else if (options.method.estimator.budget.strength) {
    out.weights =
        weights_by_step(options.method, transitions, worth, out.branches);
    out.weights.push_back(1);
  }
  out.by_step = {{"branch_variance", variance},
                 {"branch_odd", odd},
                 {"branch_worth", shares_of(worth)}};
  for (auto& [name, numbers] : out.by_step) numbers.push_back(NAN);
  return out;
}

}  // namespace rsm
