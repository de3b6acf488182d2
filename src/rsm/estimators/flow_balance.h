#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/trajectory_gradients.h"

namespace rsm {

/** Rows of stochastic paths by what their detailed balance lacks. With flows
 * log F(x) = F_phi(x) + b r(the picture predicted there), a row's residual is
 *
 *     Res = log F + log p_F - log p_B - log F',
 *
 * where b r(sample) stands for log F' at the last row. Its square is lowered by
 * the network phi, in learn(), and by the policy: directly (Use::balance), for
 * A = -2 Res of the present output, or by the score function (Use::advantage),
 * for -Res compared as rewards are. Source: DAG, arXiv 2406.00633.
 *
 * The rollout's last step draws no noise: it is taken for a part of the sample,
 * and neither balanced nor trained. log p_F of guide() is that of the rollout's
 * outputs, of learn() that of the training copy before updates. */
class FlowBalance : public Estimator {
 public:
  /** `parts` with a flow, and the network without text guidance. */
  FlowBalance(const Method& method, uint64_t seed, const GradientParts& parts);

  /** Throws rsm::Error, and what rewards throw, where a residual is not finite.
   */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;
  void at_output(const torch::Tensor& y, LossTerms& terms) const override;
  void learn(const Sampled& sampled, const Outputs& outputs) override;

  StateDict state() const override { return parts_.learnt->state(); }
  void load_state(const StateDict& state) override {
    parts_.learnt->load_state(state);
  }

 private:
  /** b of an epoch. */
  double reward_scale(int64_t epoch) const;
  Advantages compared(const RolloutIndex& rollout,
                      const torch::Tensor& residual) const;
  /** One update of the flow by some paths; `known` [P,N-1] of all. */
  void learn_from(const std::vector<int64_t>& paths, const Sampled& sampled,
                  const torch::Tensor& known);

  EstimatorKnobs knobs_;
  double advantage_clip_;
  uint64_t seed_;
  GradientParts parts_;
  // Of the epoch that was guided last.
  int64_t epoch_ = 0;
  torch::Tensor rest_;  ///< [P,N-1] residuals but for F_phi and log p_F
};

}  // namespace rsm
