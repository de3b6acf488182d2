#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/control_variate.h"
#include "rsm/estimators/moments.h"
#include "rsm/estimators/trajectory_gradients.h"
#include "rsm/estimators/zeroth_order.h"

namespace rsm {

/** Mean and spread of rewards over epochs, each of which counts `decay` times
 * the next. */
class RunningMoments {
 public:
  explicit RunningMoments(double decay) : decay_(decay) {}

  void add(const torch::Tensor& rewards);
  /** Rewards [B] with mean 0 and spread 1 by it, or by their own where there
   * was none before; float64, zeros where there is no spread. */
  torch::Tensor standardised(const torch::Tensor& rewards) const;

  /** [3] float64 */
  torch::Tensor state() const;
  /** The reverse. Throws rsm::Error for what is not of that form. */
  void load_state(const torch::Tensor& state);

 private:
  Moments moments() const;

  double decay_;
  double count_ = 0, sum_ = 0, squares_ = 0;
};

/** Advantages times noise, less what a learnt scorer of latents foretells of
 * them, and its slope in place of that (control_variate.h): as right as
 * ZerothOrder in the mean, whatever has been learnt, and less noisy by what
 * has.
 *
 * The scorer r^(latent, prompt) is regressed, after each epoch's updates, onto
 * its pictures' standardised rewards. It, and the coefficients by step, are of
 * epochs before the one they are used in. */
class Surrogate : public Estimator {
 public:
  /** `parts` with what learns. */
  Surrogate(const Method& method, uint64_t seed, const GradientParts& parts);

  /** Throws rsm::Error, and what rewards throw, where the scorer is not finite.
   */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;
  void learn(const Sampled& sampled, const Outputs& outputs) override;

  StateDict state() const override;
  void load_state(const StateDict& state) override;

  /** d r^ / d eps at states with rows, as SurrogateKnobs::at says. */
  StateOutputs slopes(const Sampled& sampled) const;

 private:
  torch::Tensor through_network(const Sampled& sampled,
                                const std::vector<int64_t>& states) const;
  /** The scorer's numbers and rewards of pictures it has not learnt from. */
  void compare(const Sampled& sampled, Guidance& guidance) const;
  /** What an update of the epoch learns from. */
  std::vector<int64_t> pictures_of(int64_t update, int64_t all) const;

  ZerothOrder zeroth_order_;
  EstimatorKnobs knobs_;
  uint64_t seed_;
  GradientParts parts_;
  RunningFit fit_;
  RunningMoments rewards_;
  // Of the epoch that was guided last.
  int64_t epoch_ = 0;
  FitSums sums_;
};

/** Network passes, forward and backward, that slopes at a rollout's states
 * take. */
int64_t passes_for(const RolloutIndex& rollout, const SurrogateKnobs& knobs);

}  // namespace rsm
