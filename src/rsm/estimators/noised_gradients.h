#pragma once

#include "rsm/base/estimator.h"
#include "rsm/base/method.h"
#include "rsm/estimators/trajectory_gradients.h"

namespace rsm {

/** The reward itself is raised, by its derivative in the output at a sample
 * noised again. The picture that an output y says is x_0 + k (y - y_c): with
 * the noise unknown k = d picture / d y of the path's prediction
 * (DRaFT-LV, arXiv 2309.17400); known, after one step to the next time, k =
 * m_y / signal of that step (SRPO, arXiv 2509.06942). */
class NoisedGradients : public Estimator {
 public:
  NoisedGradients(const Method& method, const GradientParts& parts)
      : knobs_(method.estimator.pictures), parts_(parts) {}

  /** Throws what reward_gradient() does. */
  Guidance guide(const Sampled& sampled, int64_t epoch) override;

 private:
  PictureKnobs knobs_;
  GradientParts parts_;
};

}  // namespace rsm
