#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/reward.h"

namespace rsm {

/** How one of several rewards stands to what trains, over an epoch's pictures.
 */
struct PartStanding {
  std::string name;
  double weight = 1;
  double mean = 0, deviation = 0;
  int64_t compared = 0;     ///< pictures in groups of two or more
  int64_t groups = 0;       ///< these groups
  int64_t dead_groups = 0;  ///< those in which it has no spread
  /** With the trained total, within groups: below 0 it falls where the total
   * rises. NaN where one of them has no spread. */
  double correlation = std::numeric_limits<double>::quiet_NaN();
  /** What it contributes to the total's square; all that train add up to 1. Of
   * weight 0: 0. NaN where the total has no spread. */
  double share = std::numeric_limits<double>::quiet_NaN();

  /** Of a correlation within groups. */
  double freedom() const { return static_cast<double>(compared - groups); }
};

/** Of each of scores.parts where these are two or more; else empty. `group` [I]
 * are labels of pictures that are compared. With c = weight times (r - mean of
 * its group), divided by a spread as the knobs say where Combine compares
 * rewards one by one, and T the sum of c over rewards: correlation is
 * sum(c T) / sqrt(sum(c^2) sum(T^2)), share is sum(c T) / sum(T^2). What weighs
 * 0 is correlated as if it weighed 1. Throws rsm::Error where sizes differ. */
std::vector<PartStanding> part_standings(const RewardScores& scores,
                                         const std::vector<int64_t>& group,
                                         const EstimatorKnobs& knobs);

/** What a person should hear of rewards with a weight: of those without spread
 * in half of the groups or more (unless they have none at all, which
 * suspicious() says, rewards/weighted_reward.h), of those that fall where the
 * total rises, by more than 0.1 and three standard errors of a correlation of
 * 0, and of those whose units leave them a fiftieth of what is learnt, or less.
 */
std::vector<std::string> part_warnings(
    const std::vector<PartStanding>& standings, const EstimatorKnobs& knobs);

}  // namespace rsm
