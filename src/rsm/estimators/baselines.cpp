#include "rsm/estimators/baselines.h"

#include <map>

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Spread = EstimatorKnobs::Spread;

double spread_of(const Moments& moments, const EstimatorKnobs& knobs) {
  return knobs.unbiased_spread ? moments.unbiased() : moments.deviation;
}

/** Whether a reward compared with `standard` says nothing. */
bool is_dead(const Moments& standard, const Moments& all,
             const EstimatorKnobs& knobs) {
  if (knobs.baseline == Baseline::none) return false;
  const bool by_all = knobs.spread == Spread::global;
  return spread_of(standard, knobs) < kDeadSpread ||
         (by_all && spread_of(all, knobs) < kDeadSpread);
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
      break;
  }
  return reward - standard.mean;
}

}  // namespace

std::vector<int64_t> dense(const std::vector<int64_t>& labels) {
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

void add_advantages(Sums& sums, double weight,
                    const std::vector<double>& rewards,
                    const std::vector<Moments>& standard, const Moments& all,
                    const EstimatorKnobs& knobs) {
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
    if (divisor > 0) sums.value[r] += weight * (from / divisor);
  }
}

}  // namespace rsm
