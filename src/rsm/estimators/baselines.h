#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/estimators/moments.h"

namespace rsm {

/** Advantages of what is compared, while they are added up. */
struct Sums {
  explicit Sums(size_t units) : value(units, 0), alive(units, false) {}

  std::vector<double> value;  ///< not clipped
  std::vector<bool> alive;
};

/** Labels as 0-based numbers in order of first appearance. */
std::vector<int64_t> dense(const std::vector<int64_t>& labels);

/** [groups] moments of each group of dense labels. */
std::vector<Moments> group_moments(const std::vector<double>& rewards,
                                   const std::vector<int64_t>& group);

/** Adds weight (r - baseline) / (spread + offset) of one reward to the sums;
 * advantages.h says what these are. `standard` [units] holds the moments of the
 * rewards that each unit is compared with (of its group, or of its prompt's
 * buffer), `all` those of the epoch's rewards. A unit whose standard (where
 * there is a baseline), or what it is divided by, has no spread is dead: it
 * adds nothing. */
void add_advantages(Sums& sums, double weight,
                    const std::vector<double>& rewards,
                    const std::vector<Moments>& standard, const Moments& all,
                    const EstimatorKnobs& knobs);

}  // namespace rsm
