#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/estimators/moments.h"

namespace rsm {

/** Advantages of n candidates, whatever is compared, while they are added up
 * over rewards. */
struct AdvantageSums {
  explicit AdvantageSums(size_t n)
      : value(n, 0), rounding(n, 0), alive(n, false) {}

  std::vector<double> value;  ///< not clipped
  /** A value within this is 0 but for the rounding of means. */
  std::vector<double> rounding;
  std::vector<bool> alive;
};

/** Labels as group numbers from 0 on, in order of first appearance. */
std::vector<int64_t> numbered(const std::vector<int64_t>& labels);

/** [groups] moments of each group of numbered labels. */
std::vector<Moments> group_moments(const std::vector<double>& rewards,
                                   const std::vector<int64_t>& group);

/** Adds weight (r - baseline) / (spread + offset) of one reward to the sums;
 * advantages.h says what these are. `standard` [n] holds the moments of the
 * rewards that each candidate is compared with (of its group, or of its
 * prompt's buffer), `all` those of the epoch's rewards. A candidate whose
 * standard (where there is a baseline), or what it is divided by, has no spread
 * is dead: it adds nothing. */
void add_advantages(AdvantageSums& sums, double weight,
                    const std::vector<double>& rewards,
                    const std::vector<Moments>& standard, const Moments& all,
                    const EstimatorKnobs& knobs);

/** (sum - mean) / (spread + offset) of the sums that are alive; the moments are
 * of all. Sums without any spread stay. Source: GDPO, arXiv 2601.05242. */
void standardise(AdvantageSums& sums, const EstimatorKnobs& knobs);

}  // namespace rsm
