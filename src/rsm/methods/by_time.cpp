#include "rsm/methods/by_time.h"

#include <cmath>
#include <limits>

#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"

namespace rsm {

Method with_draws(Method method, int64_t steps) {
  method.estimator.pictures.draws = steps;
  return method;
}

std::vector<TimeFactors> factors_by_time(const Method& method,
                                         const Transitions& transitions) {
  const auto& update = method.regularisation;
  const auto steps = static_cast<int64_t>(transitions.size());
  const auto h = h_by_step(method, transitions);
  std::vector<TimeFactors> out;
  for (int64_t i = 0; i < method.estimator.trainable_steps(steps); ++i) {
    const auto& step = transitions[i];
    const auto scores = score_factors(method, step);
    TimeFactors at = {.step = i,
                      .t = step.t,
                      .rows = method.estimator.rows_at(i, steps),
                      .g = strength(method.strength, step),
                      .h = h[i],
                      .clip = std::numeric_limits<double>::quiet_NaN()};
    const bool has_rows = at.rows > 0;
    const bool pulled =
        update.beta > 0 && (has_rows ? update.pull_rows : update.anchors);
    if (pulled) at.c1 = scores.c1;
    if (has_rows) {
      at.gamma = scores.gamma;
      at.c2 = scores.c2;
      at.c2_relative = pulled || scores.c2 == 0
                           ? scores.c2_relative
                           : std::numeric_limits<double>::infinity();
      if (update.importance != RegularisationKnobs::Importance::none) {
        at.clip = update.log_range() / row_factors(method, step, 1).exponent;
      }
    }
    out.push_back(at);
  }
  return out;
}

}  // namespace rsm
