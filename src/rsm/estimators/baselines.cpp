#include "rsm/estimators/baselines.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Spread = EstimatorKnobs::Spread;

double spread_of(const Moments& moments, const EstimatorKnobs& knobs) {
  return knobs.unbiased_spread ? moments.unbiased() : moments.deviation;
}

bool has_spread(const Moments& moments, const EstimatorKnobs& knobs) {
  return spread_of(moments, knobs) >= std::max(kDeadSpread, moments.rounding());
}

/** Whether a reward compared with `standard` says nothing. */
bool is_dead(const Moments& standard, const Moments& all,
             const EstimatorKnobs& knobs) {
  if (knobs.baseline == Baseline::none) return false;
  const bool by_all = knobs.spread == Spread::global;
  return !has_spread(standard, knobs) || (by_all && !has_spread(all, knobs));
}

double without_baseline(double reward, const Moments& standard,
                        Baseline baseline) {
  const auto n = static_cast<double>(standard.count);
  switch (baseline) {
    case Baseline::none:
      return reward;
    case Baseline::leave_one_out:
      return (reward - standard.mean) * (n / (n - 1));
    case Baseline::mean:
    case Baseline::running:
    case Baseline::previous_step:  // of gains
      break;
  }
  return reward - standard.mean;
}

}  // namespace

std::vector<int64_t> numbered(const std::vector<int64_t>& labels) {
  std::map<int64_t, int64_t> index;
  std::vector<int64_t> out;
  for (const int64_t label : labels) {
    out.push_back(
        index.emplace(label, static_cast<int64_t>(index.size())).first->second);
  }
  return out;
}

std::vector<Moments> group_moments(const std::vector<double>& rewards,
                                   const std::vector<int64_t>& group) {
  std::vector<std::vector<double>> members;
  for (size_t r = 0; r < rewards.size(); ++r) {
    if (group[r] == static_cast<int64_t>(members.size())) members.push_back({});
    members[group[r]].push_back(rewards[r]);
  }
  std::vector<Moments> moments;
  for (const auto& rewards_of : members) {
    moments.push_back(moments_of(rewards_of));
  }
  return moments;
}

void add_advantages(AdvantageSums& sums, double weight,
                    const std::vector<double>& rewards,
                    const std::vector<Moments>& standard, const Moments& all,
                    const EstimatorKnobs& knobs) {
  constexpr double kEpsilon = std::numeric_limits<double>::epsilon();
  const bool compared = knobs.baseline != Baseline::none;
  for (size_t r = 0; r < rewards.size(); ++r) {
    if (is_dead(standard[r], all, knobs)) continue;
    sums.alive[r] = true;
    const double from =
        without_baseline(rewards[r], standard[r], knobs.baseline);
    double divisor = 1;
    if (knobs.spread != Spread::none) {
      const bool by_all = knobs.spread == Spread::global;
      divisor =
          spread_of(by_all ? all : standard[r], knobs) + knobs.spread_offset;
    }
    // Without a baseline or an offset, equal rewards would be divided by 0.
    if (!(divisor > 0)) continue;
    sums.value[r] += weight * (from / divisor);
    sums.rounding[r] +=
        std::abs(weight / divisor) *
        (kEpsilon * std::abs(from) + (compared ? standard[r].rounding() : 0));
  }
}

void standardise(AdvantageSums& sums, const EstimatorKnobs& knobs) {
  const auto all = moments_of(sums.value);
  if (!has_spread(all, knobs)) return;
  const double divisor = spread_of(all, knobs) + knobs.spread_offset;
  for (size_t r = 0; r < sums.value.size(); ++r) {
    if (!sums.alive[r]) continue;
    sums.value[r] = (sums.value[r] - all.mean) / divisor;
    sums.rounding[r] = (sums.rounding[r] + all.rounding()) / divisor;
  }
}

}  // namespace rsm
