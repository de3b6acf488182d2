#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/reward.h"

namespace rsm {

struct WeightedReward {
  double weight = 1;
  std::shared_ptr<const Reward> reward;
};

/** The sum of weight times value over one or more rewards, each of another
 * name. RewardScores::parts has every term. One reward keeps its metrics, its
 * main metric and its name. Of several, the metrics are each one's value under
 * its name and its own metrics as NAME/metric; the main metric is that of the
 * first whose weight is not 0, or "reward" where that is negative; the name is
 * "shapes + 0.1 * exec:...". It is remote, and sees groups, where
 * one of them does, and is differentiable where each is whose weight is not 0;
 * value_of() asks these alone, and throws rsm::UsageError naming the black
 * boxes among them.
 *
 * score() throws rsm::Error, naming the reward, where one gives another number
 * of scores or metrics than there are images, or scores that are not finite
 * (naming the first such image), and where the sum is not finite. */
std::unique_ptr<Reward> make_weighted_reward(
    std::vector<WeightedReward> rewards);

/** What a person should look at: parts of a weight other than 0 that give all
 * pictures of a batch of two or more the same value, or values beyond +-10^6;
 * and mended_in(). Sentences that begin with the part's name; none where all is
 * well. Scores without parts are looked at as one part, "the reward". */
std::vector<std::string> suspicious(const RewardScores& scores);

/** What failed and was mended on the way to the scores, with its count:
 * "exec:judge.py ended with exit status 1 and was started again, 2 times". */
std::vector<std::string> mended_in(const RewardScores& scores);

}  // namespace rsm
