#pragma once

namespace rsm {

/** How strongly guidance acts at each time: g(t) on -A log rho, times scale. */
struct StrengthKnobs {
  /** constant: 1. noise: 2.25 s (TempFlow). proportional:
   * zeta dt / w (PCPO). uniform: 0.5169 / w (PCPO on diffusion: one weight for
   * all times). sigma: s / dt = s~ / sqrt(dt) (Guard, fairclip2). variance:
   * s^2 (twice that is CPS as published).
   * By h(t) = g M / 2: flat 1, linear 1 - t, quadratic (1 - t)^2 (VGG-Flow),
   * predicted: how far the predicted picture moves per unit of output, in x,
   * where gradients are taken (t, noise), or, of samples noised again, in the
   * picture (t, noise / signal); predicted_squared: its square (AWM's t^2);
   * exact (1 - t) / (t + 1e-3), what the bound on a flow's log-density weighs
   * its output's error by (PEPG's "exact"). By the picture's share a of x':
   * residual 2 a^2 / s^2, residual_linear 2 a / s^2 (Residual grad-DB).
   * short_stride: s'^2 / s^2, s' of the stride of a grid of one step more (the
   * release of arXiv 2604.17415, by mistake). */
  enum class Shape {
    constant,
    noise,
    proportional,
    uniform,
    sigma,
    variance,
    flat,
    linear,
    quadratic,
    predicted,
    predicted_squared,
    exact,
    residual,
    residual_linear,
    short_stride,
  };
  Shape shape = Shape::constant;
  double scale = 1;
  bool scaled_residual = false;  ///< in training; not evaluated nor exported

  /** Whether h(t) is said of a time alone, not of a step's noise. */
  static bool is_of_time(Shape shape) {
    switch (shape) {
      case Shape::flat:
      case Shape::linear:
      case Shape::quadratic:
      case Shape::predicted:
      case Shape::predicted_squared:
      case Shape::exact:
        return true;
      default:
        return false;
    }
  }
  bool operator==(const StrengthKnobs&) const = default;
};

}  // namespace rsm
