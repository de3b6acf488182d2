#include "rsm/objective/temperature.h"

#include <cmath>

#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"

namespace rsm {

double guidance_share(const EstimatorKnobs& knobs, int64_t left,
                      int64_t dimensions) {
  const double of_sum = 0.5 * static_cast<double>(dimensions);
  if (knobs.is_first_order()) {
    const auto& gradient = knobs.gradient;
    return (gradient.of_sum ? of_sum : 1) *
           std::pow(gradient.discount, static_cast<double>(left));
  }
  if (!knobs.is_of_pictures()) return 1;
  return knobs.pictures.follows_gradients() ? of_sum
                                            : knobs.pictures.advantage_scale;
}

double temperature(const Method& method, const Transition& step, double share) {
  const double guidance =
      0.5 * strength(method.strength, step) * step.w() * step.w() * share;
  return kl_factor(method.regularisation, step) / guidance;
}

double cost_factor(const Method& method, const Transition& step, double share) {
  if (!(step.s > 0)) return 0;
  const double guidance = strength(method.strength, step) * share;
  return guidance > 0 ? kl_factor(method.regularisation, step) / guidance : 0;
}

}  // namespace rsm
