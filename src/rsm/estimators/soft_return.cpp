#include "rsm/estimators/soft_return.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/objective/temperature.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;

/** Of rows that draw noise nothing but g is told. */
constexpr double kShare = 1;

/** How costs are compared: as rewards, but that nothing divides. */
EstimatorKnobs knobs_of_costs(EstimatorKnobs knobs) {
  if (knobs.baseline == Baseline::running) knobs.baseline = Baseline::mean;
  knobs.spread = EstimatorKnobs::Spread::none;
  return knobs;
}

/** Labels of rows of one step apart. */
std::vector<int64_t> by_step(const std::vector<int64_t>& label,
                             const RolloutIndex& rollout) {
  const auto steps = std::ssize(rollout.transitions);
  std::vector<int64_t> out;
  for (size_t r = 0; r < label.size(); ++r) {
    out.push_back(label[r] * steps + rollout.state_step[rollout.row_state[r]]);
  }
  return out;
}

void take_off(AdvantageSums& sums, const std::vector<double>& cost,
              const std::vector<int64_t>& group, const EstimatorKnobs& knobs) {
  const auto moments = group_moments(cost, group);
  std::vector<Moments> standard;
  for (const int64_t g : group) standard.push_back(moments[g]);
  add_advantages(sums, -1, cost, standard, {}, knobs_of_costs(knobs));
}

void exponentiate(AdvantageSums& sums, const std::vector<double>& alpha,
                  const std::vector<int64_t>& group) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  const size_t groups =
      group.empty() ? 0 : 1 + *std::max_element(group.begin(), group.end());
  // Off the largest, which no exponential overflows.
  std::vector<double> most(groups, -INFINITY), sum(groups, 0), count(groups, 0);
  for (size_t r = 0; r < group.size(); ++r) {
    most[group[r]] = std::max(most[group[r]], sums.value[r] / alpha[r]);
  }
  const auto weight = [&](size_t r) {
    return std::exp(sums.value[r] / alpha[r] - most[group[r]]);
  };
  for (size_t r = 0; r < group.size(); ++r) {
    sum[group[r]] += weight(r);
    ++count[group[r]];
  }
  for (size_t r = 0; r < group.size(); ++r) {
    if (!sums.alive[r]) continue;
    const double share = weight(r) * count[group[r]] / sum[group[r]];
    sums.value[r] = alpha[r] * (share - 1);
    sums.rounding[r] = share * sums.rounding[r] +
                       alpha[r] * count[group[r]] * kEpsilon * (1 + share);
  }
}

}  // namespace

RunningCost running_cost(const Method& method, Denoiser& reference) {
  if (!method.estimator.counts_costs()) return {};
  return {&reference, [method](const Transition& step) {
            return cost_factor(method, step, kShare);
          }};
}

SoftReturn soft_return(const Method& method, const Rollout& rollout) {
  SoftReturn out;
  if (method.estimator.counts_costs()) {
    RSM_CHECK(rollout.cost.defined(),
              "[soft return] a rollout without costs; draw it by a plan of "
              "soft returns");
    out.cost = doubles_of(rollout.cost.to(at::kDouble).flatten(1).sum(1));
    const auto bad =
        std::find_if(out.cost.begin(), out.cost.end(),
                     [](double cost) { return !std::isfinite(cost); });
    RSM_CHECK(bad == out.cost.end(), "[soft return] the later steps of row ",
              bad - out.cost.begin(), " cost ", *bad,
              "; the model, or what it began as, says no numbers there");
  }
  if (method.estimator.returns == EstimatorKnobs::Return::exponential) {
    for (const int64_t state : rollout.row_state) {
      out.alpha.push_back(
          temperature(method, rollout.transition_of(state), kShare));
    }
  }
  return out;
}

Compared softened(const Compared& rewarded, const SoftReturn& soft,
                  const std::vector<int64_t>& label, bool path,
                  const RolloutIndex& rollout, const EstimatorKnobs& knobs) {
  const size_t rows = label.size();
  RSM_CHECK((soft.cost.empty() || soft.cost.size() == rows) &&
                (soft.alpha.empty() || soft.alpha.size() == rows),
            "[soft return] ", soft.cost.size(), " costs and ",
            soft.alpha.size(), " temperatures for ", rows,
            " rows; one a row is needed");
  Compared out{AdvantageSums(rows), {}};
  for (size_t r = 0; r < rows; ++r) {
    const size_t from = path ? rollout.row_image[r] : r;
    out.sums.value[r] = rewarded.sums.value[from];
    out.sums.rounding[r] = rewarded.sums.rounding[from];
    out.sums.alive[r] = rewarded.sums.alive[from];
    out.rewards.push_back(rewarded.rewards[from]);
  }
  auto group = label;
  if (path || !soft.alpha.empty()) group = by_step(label, rollout);
  group = numbered(group);
  if (!soft.cost.empty()) take_off(out.sums, soft.cost, group, knobs);
  if (!soft.alpha.empty()) exponentiate(out.sums, soft.alpha, group);
  return out;
}

std::vector<double> cost_by_step(const RolloutIndex& rollout,
                                 const SoftReturn& soft) {
  std::vector<double> sum(rollout.transitions.size(), 0), count(sum);
  for (size_t r = 0; r < soft.cost.size(); ++r) {
    const int64_t step = rollout.state_step[rollout.row_state[r]];
    sum[step] += soft.cost[r];
    ++count[step];
  }
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = count[i] > 0 ? sum[i] / count[i] : NAN;
  }
  return sum;
}

}  // namespace rsm
