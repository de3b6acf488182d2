#include "rsm/objective/strength.h"

#include <cmath>
#include <numeric>

#include "rsm/base/error.h"

namespace rsm {

double strength(const StrengthKnobs& knobs, const Transition& transition) {
  const double scale = knobs.scale * transition.weight;
  RSM_CHECK(transition.s > 0 && transition.dt() > 0,
            "[strength] a step with s = ", transition.s,
            ", dt = ", transition.dt(), "; both must be above 0");
  const double left = 1 - transition.t;
  const double signal = transition.signal_next;
  const double variance = transition.s * transition.s;
  switch (knobs.shape) {
    case StrengthKnobs::Shape::constant:
      return scale;
    case StrengthKnobs::Shape::noise:
      return scale * kNoiseScale * transition.s;
    case StrengthKnobs::Shape::proportional:
      return scale * kProportionalScale * transition.dt() / transition.w();
    case StrengthKnobs::Shape::uniform:
      return scale * kUniformWeight / transition.w();
    case StrengthKnobs::Shape::sigma:
      return scale * transition.s / transition.dt();
    case StrengthKnobs::Shape::variance:
      return scale * variance;
    case StrengthKnobs::Shape::flat:
      return scale * 2 / transition.M();
    case StrengthKnobs::Shape::linear:
      return scale * 2 * left / transition.M();
    case StrengthKnobs::Shape::quadratic:
      return scale * 2 * left * left / transition.M();
    case StrengthKnobs::Shape::predicted:
      return scale * 2 * transition.reach / transition.M();
    case StrengthKnobs::Shape::predicted_squared:
      return scale * 2 * transition.reach * transition.reach / transition.M();
    case StrengthKnobs::Shape::exact:
      return scale * 2 * left /
             ((transition.t + kExactOffset) * transition.M());
    case StrengthKnobs::Shape::residual:
      return scale * 2 * signal * signal / variance;
    case StrengthKnobs::Shape::residual_linear:
      return scale * 2 * signal / variance;
    case StrengthKnobs::Shape::short_stride:
      return scale * transition.short_stride_ratio;
  }
  throw Error("[strength] a shape outside its enum");
}

double guidance_strength(const StrengthKnobs& knobs,
                         const Transition& transition) {
  return strength(knobs, transition) * transition.M() / 2;
}

std::vector<double> h_by_step(const Method& method,
                              const Transitions& transitions) {
  const auto steps = static_cast<int64_t>(transitions.size());
  std::vector<double> h(transitions.size(), 0);
  for (int64_t i = 0; i < steps; ++i) {
    if (method.estimator.rows_at(i, steps) == 0) continue;
    h[i] = guidance_strength(method.strength, transitions[i]) *
           std::pow(method.estimator.gradient.discount, steps - 1 - i);
    if (method.strength.scaled_residual) {
      h[i] *= kUniformWeight / transitions[i].w();
    }
  }
  return h;
}

std::vector<double> normalised_h(const Method& method,
                                 const Transitions& transitions) {
  auto h = h_by_step(method, transitions);
  const double sum = std::accumulate(h.begin(), h.end(), 0.0);
  for (auto& value : h) value = sum == 0 ? 0 : value / sum;
  return h;
}

}  // namespace rsm
