#include "rsm/estimators/reward_parts.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/estimators/baselines.h"

namespace rsm {
namespace {

constexpr double kLeastFall = 0.1;  ///< of a correlation worth a warning
constexpr double kSure = 3;         ///< standard errors
constexpr double kLeastShare = 0.02;

double product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

/** As rewards are compared: several one by one in their own spread, or a sum of
 * them as it is. */
EstimatorKnobs comparing(EstimatorKnobs knobs) {
  using Knobs = EstimatorKnobs;
  knobs.baseline = Knobs::Baseline::mean;
  if (knobs.combine == Knobs::Combine::rewards) {
    knobs.spread = Knobs::Spread::none;
  }
  return knobs;
}

/** Methods along a gradient follow that of the sum. */
const char* advice_for(const EstimatorKnobs& knobs) {
  return knobs.is_first_order()
             ? "Raise its weight"
             : "Raise its weight, or set estimator.combine: advantages, which "
               "compares each reward in its own spread";
}

/** What a part adds to each picture's total. */
std::vector<double> added_by(const std::vector<double>& values, double weight,
                             const std::vector<int64_t>& group,
                             const EstimatorKnobs& knobs) {
  const auto moments = group_moments(values, group);
  std::vector<Moments> standard;
  for (const int64_t g : group) standard.push_back(moments[g]);
  AdvantageSums sums(values.size());
  add_advantages(sums, weight, values, standard, moments_of(values), knobs);
  return sums.value;
}

void count_groups(const std::vector<double>& values,
                  const std::vector<int64_t>& group, PartStanding& part) {
  for (const auto& moments : group_moments(values, group)) {
    if (moments.count < 2) continue;
    ++part.groups;
    part.compared += moments.count;
    const double least = std::max(kDeadSpread, moments.rounding());
    if (moments.deviation < least) ++part.dead_groups;
  }
}

}  // namespace

std::vector<PartStanding> part_standings(const RewardScores& scores,
                                         const std::vector<int64_t>& group,
                                         const EstimatorKnobs& knobs) {
  if (scores.parts.size() < 2) return {};
  const auto labels = numbered(group);
  const auto how = comparing(knobs);
  std::vector<PartStanding> out;
  std::vector<std::vector<double>> added;
  std::vector<double> total(labels.size(), 0);
  for (const auto& part : scores.parts) {
    const auto values = doubles_of(part.value);
    RSM_CHECK(values.size() == labels.size(), "[reward ", part.name, "] ",
              values.size(), " values for ", labels.size(),
              " pictures in groups; one for each is needed");
    const auto moments = moments_of(values);
    PartStanding standing{part.name, part.weight, moments.mean,
                          moments.deviation};
    count_groups(values, labels, standing);
    out.push_back(standing);
    const double weight = part.weight == 0 ? 1 : part.weight;
    added.push_back(added_by(values, weight, labels, how));
    for (size_t i = 0; part.weight != 0 && i < total.size(); ++i) {
      total[i] += added.back()[i];
    }
  }
  const double square = product(total, total);
  for (size_t p = 0; p < out.size(); ++p) {
    if (!(square > 0)) break;
    const double common = product(added[p], total);
    const double own = product(added[p], added[p]);
    out[p].share = out[p].weight == 0 ? 0 : common / square;
    if (own > 0) out[p].correlation = common / std::sqrt(own * square);
  }
  return out;
}

std::vector<std::string> part_warnings(
    const std::vector<PartStanding>& standings, const EstimatorKnobs& knobs) {
  std::vector<std::string> out;
  for (const auto& part : standings) {
    if (part.weight == 0) continue;
    if (part.deviation > 0 && part.dead_groups > 0 &&
        2 * part.dead_groups >= part.groups) {
      out.push_back(cat(part.name, " has no spread in ", part.dead_groups,
                        " of ", part.groups,
                        " groups, from which nothing of it is learnt"));
    }
  }
  for (const auto& part : standings) {
    if (part.weight == 0 || !(part.deviation > 0)) continue;
    if (part.correlation < -kLeastFall &&
        part.correlation * std::sqrt(part.freedom()) < -kSure) {
      out.push_back(cat(
          part.name, " falls where the trained total rises (correlation ",
          part.correlation, " within groups): the other rewards outweigh it. ",
          advice_for(knobs)));
    } else if (knobs.combine == EstimatorKnobs::Combine::rewards &&
               part.dead_groups < part.groups &&
               std::abs(part.share) <= kLeastShare) {
      out.push_back(cat(part.name, " makes up ", 100 * part.share,
                        " % of what is learnt: the others' units are larger. ",
                        advice_for(knobs)));
    }
  }
  return out;
}

}  // namespace rsm
