#pragma once

#include <cmath>
#include <limits>
#include <vector>

namespace rsm {

/** One sampler step from time t to t_next (1 = noise, 0 = picture):
 *
 *     x' = a_x x + m_y y + s eps,   eps ~ N(0, I),   y the network's output.
 *
 * m_y < 0 for velocity and noise prediction. All numbers are finite, also at
 * t = 1, except omega(). Source: arXiv 2604.17415, section 3. */
struct Transition {
  double t = 1;
  double t_next = 0;
  double a_x = 1;
  double m_y = 0;
  double s = 0;          ///< standard deviation of the step; 0 for an ODE step
  double diffusion = 0;  ///< s~ = s / sqrt(dt), the SDE's coefficient
  double delta = 0;      ///< |d score / d y|; 0 at t = 1 for flows
  double signal_next = 1;  ///< the picture's share of x'; see paths/path.h
  /** How far the predicted picture moves per unit of output: in x, where a
   * sampler steps (the noise's share of x); in the picture, of samples noised
   * again (noise / signal). */
  double reach = 1;
  /** s'^2 / s^2, s' of the same step with the stride of a grid of one step
   * more; of DDIM's grids alone. */
  double short_stride_ratio = 1;
  double weight = 1;  ///< factor on g(t) besides a method's own

  double dt() const { return t - t_next; }
  /** How far the mean moves per unit of output. */
  double M() const { return std::abs(m_y); }
  /** M / s: how far in standard deviations. Infinite for an ODE step. */
  double w() const { return M() / s; }
  /** d mean / d score; infinite where delta = 0. */
  double omega() const {
    return delta == 0 ? std::numeric_limits<double>::infinity() : M() / delta;
  }
};

using Transitions = std::vector<Transition>;

}  // namespace rsm
