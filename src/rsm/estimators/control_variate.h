#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/base/rollout.h"

namespace rsm {

// A control variate of "advantage times noise". For any vector g that does not
// depend on a row's noise eps, q = <g, eps> (summed over latent elements) has
// mean 0 and E[q eps] = g. So
//
//     (A - c q) eps + c g
//
// has the mean of A eps whatever g and c are, and for many elements the least
// variance, 1 - corr(A, q)^2 of it, at c = Cov(A, q) / Var(q). Source: Q-Prop,
// arXiv 1611.02247, whose critic's slope g is.

/** What is taken off advantages, up to c. */
struct ControlVariate {
  /** [R] float64: q, and where a reward is compared with its group's mean less
   * the mean of that group's q; paths' step by step. */
  torch::Tensor value;
  /** [R] E[value eps] as a share of g: 1, or 1 - 1/n of the n that were
   * averaged, of whom only the row itself knows its noise. */
  std::vector<double> share;
};

/** `slopes` are g, at all states with rows. The noise is that of the rollout's
 * own outputs. */
ControlVariate control_variate(const Rollout& rollout,
                               const StateOutputs& slopes,
                               const EstimatorKnobs& knobs);

/** Takes `coefficient` [N] by step times the control variate off the advantages
 * of all trained rows, and gives their states the slope that makes up for it.
 * Coefficients that are all 0 change nothing. */
void apply(const ControlVariate& variate, const StateOutputs& slopes,
           const std::vector<double>& coefficient, const RolloutIndex& rollout,
           Guidance& guidance);

/** [N] sums over the live rows of each step. */
struct FitSums {
  /** Of advantages A [R] and predictions h [R]. */
  FitSums(const RolloutIndex& rollout, const Advantages& advantages,
          const torch::Tensor& prediction);
  FitSums() = default;

  std::vector<double> aa, ah, hh;

  /** [N] squared correlation, means taken as 0; NaN where there is none. */
  std::vector<double> shares() const;
};

/** The coefficient by step that leaves least of past advantages: the line
 * through 0 of epochs, each of which counts `decay` times the next. */
class RunningFit {
 public:
  explicit RunningFit(double decay) : decay_(decay) {}

  /** [steps] 0 where no epoch had rows so far. */
  std::vector<double> coefficients(int64_t steps) const;
  void add(const FitSums& epoch);

  /** [2,N] float64, N = 0 before the first epoch. */
  torch::Tensor state() const;
  /** The reverse. Throws rsm::Error for what is not of that form. */
  void load_state(const torch::Tensor& state);

 private:
  double decay_;
  std::vector<double> ah_, hh_;
};

}  // namespace rsm
