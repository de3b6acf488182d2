#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/reward.h"
#include "rsm/base/rollout.h"
#include "rsm/base/state_dict.h"

namespace rsm {

struct LossTerms;  // objective/rows.h

/** Prompts -> rollout -> rewards: what an epoch has seen. */
struct Sampled {
  Rollout rollout;
  Condition conditions;  ///< [P] of the rollout's prompts
  RewardScores scores;   ///< [I] of its pictures

  /** Conditions of states. */
  ConditionRows conditions_of(const std::vector<int64_t>& states) const;
};

/** How good each row was, compared with the rows of its group. */
struct Advantages {
  torch::Tensor value;  ///< [R] float32; 0 for rows that are not alive
  /** [R] bool; false where the group is dead, and for rows that the method
   * does not train (TreeKnobs). */
  torch::Tensor alive;
  /** [R] bool; false where `value` is 0, but for the rounding of the mean that
   * was taken off. */
  torch::Tensor differs;
  torch::Tensor trained;  ///< [R] bool; false for the latter alone
  /** [R] float64 of the pull to the reference, what a row has of it; undefined:
   * the whole. */
  torch::Tensor pull = {};
  std::vector<int64_t> group;  ///< [R] 0-based, in order of first appearance
  /** [groups] population standard deviation of each group's rewards. */
  std::vector<double> deviation;
  std::vector<bool> dead;  ///< [groups] whether there is nothing to learn from
  int64_t dead_groups = 0;

  int64_t groups() const { return static_cast<int64_t>(deviation.size()); }
};

/** Gradients of a reward in x, in place of the noise of rows. */
struct Directions {
  torch::Tensor value;          ///< [G,C,H,W] float32 in host memory
  std::vector<int64_t> of_row;  ///< [R] which one a row takes

  bool empty() const { return of_row.empty(); }
};

/** What an update regresses onto: rows' advantages, and which states. A row's
 * guidance is its advantage times its direction, and its state's slope. */
struct Guidance {
  Advantages advantages;
  std::vector<int64_t> trained;  ///< states of the epoch's updates, rising
  /** Those of them, rising, whose outputs are compared without their prompt. */
  std::vector<int64_t> unprompted = {};
  /** Empty where rows' directions are their own noise. */
  Directions directions = {};
  /** What is known of guidance without noise, the same for each row of a state:
   * a vector in the noise's units. Empty: nothing. */
  StateOutputs slope = {};
  /** What is added to the reference's outputs where they pull; empty: nothing.
   */
  StateOutputs shift = {};
  std::map<std::string, double> numbers = {};  ///< for the run log
  /** [N] the same by sampler step, NaN where there is none. */
  std::map<std::string, std::vector<double>> by_step = {};
  std::vector<std::string> warnings = {};
  int64_t evaluations = 0;  ///< of the network, forward and backward
  double seconds = 0;
};

/** How the value guidance is estimated; made from a method's knobs by
 * make_estimator (estimators/estimators.h). One object lives as long as its
 * run. */
class Estimator {
 public:
  virtual ~Estimator() = default;

  /** Rewards -> guidance; once an epoch, counted from 0. Throws rsm::Error for
   * rewards that can't be compared; its state is unchanged then. */
  virtual Guidance guide(const Sampled& sampled, int64_t epoch) = 0;

  /** Takes out rows that are not to be trained on, once an epoch, now that
   * frozen outputs are known: `distances`, where called, gives how far the
   * trained states [K] are from their targets (objective/targets.h). */
  virtual void reject(const std::function<torch::Tensor()>& /*distances*/,
                      Guidance& /*guidance*/) {}

  /** Weighs rows by what frozen copies say at the trained states, once an
   * epoch. */
  virtual void weigh(const Sampled& /*sampled*/, const Outputs& /*outputs*/,
                     Guidance& /*guidance*/) const {}

  /** Second stage: fills in what depends on the outputs y [B,C,H,W] of the
   * states that `terms` are of, between forward and backward, without
   * gradient. Called from several threads. */
  virtual void at_output(const torch::Tensor& /*y*/,
                         LossTerms& /*terms*/) const {}

  /** Trains its own networks on what an epoch has seen, after its updates. */
  virtual void learn(const Sampled& /*sampled*/, const Outputs& /*outputs*/) {}

  /** All that a checkpoint needs of it, by name; load_state() is the reverse,
   * and throws rsm::Error naming the tensor that does not fit. */
  virtual StateDict state() const { return {}; }
  virtual void load_state(const StateDict& state);
};

}  // namespace rsm
