#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/trajectory_gradients.h"

namespace rsm {

/** A reward's gradient in x, for states of trajectories: each row's direction,
 * with what of its size depends on its step alone as its advantage
 * (GradientKnobs::discount and of_sum). */
class FirstOrder : public Estimator {
 public:
  FirstOrder(const Method& method, uint64_t seed, const GradientParts& parts)
      : knobs_(method.estimator.gradient), seed_(seed), parts_(parts) {}

  /** Throws rsm::Error where a gradient is not finite. */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;

 private:
  /** The steps of a path that an epoch trains, rising. */
  std::vector<int64_t> trained_steps(int64_t root, int64_t steps,
                                     int64_t epoch) const;
  /** Where the gradient for what is trained at `step` is taken. */
  int64_t step_taken_at(int64_t step, int64_t steps) const;

  GradientKnobs knobs_;
  uint64_t seed_;
  GradientParts parts_;
};

}  // namespace rsm
