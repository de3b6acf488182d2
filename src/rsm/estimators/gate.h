#pragma once

#include <torch/types.h>

#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/gate_knobs.h"

namespace rsm {

/** [I] float64 how much better each picture ranks by the trained value than, in
 * the mean, by the rewards of weight 0: -1 to 1, above 0 suspicious. A rank is
 * the share of the other pictures that it beats, equals counting half. Throws
 * rsm::Error where no part of the scores has weight 0. */
torch::Tensor suspicion(const RewardScores& scores);

/** Lets the reference pull at the most suspicious samples alone. Of those that
 * are suspicious a share is held; the share rises by the rate where their mean
 * is above, and falls where it is below, that of every epoch remembered, within
 * its bounds. Source: GARDO, arXiv 2512.24138, and its release
 * (RiskCompensator, with a memory of 20 epochs). */
class Gate {
 public:
  explicit Gate(const GateKnobs& knobs) : knobs_(knobs), share_(knobs.share) {}

  /** Sets what rows have of the pull: 0, and of those that are held all rows
   * over theirs, so that they weigh together what all would. A row's suspicion
   * is the mean over the pictures that it led to. Adds numbers to the log:
   * gate_share, the share; gate_held, of all rows; suspicion, the mean of the
   * suspicious pictures. Once an epoch. */
  void hold(const RolloutIndex& rollout, const RewardScores& scores,
            Guidance& guidance);

  /** [1 + epochs remembered] float64: the share, and the means. */
  torch::Tensor state() const;
  /** The reverse. Throws rsm::Error for what is not of that form. */
  void load_state(const torch::Tensor& state);

 private:
  void move(double mean);

  GateKnobs knobs_;
  double share_;
  std::vector<double> means_;  ///< of epochs before, the newest last
};

}  // namespace rsm
