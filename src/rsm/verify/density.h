#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rsm::verify {

/** A judge of points x of R^D whose tilted densities are known.
 *
 *     linear     r = vector . x
 *     quadratic  r = -number |x - vector|^2 / 2
 *     step       r = 1 where x's first coordinate is above number, else 0: a
 *                reward without a useful derivative */
struct PointReward {
  enum class Kind { linear, quadratic, step };

  Kind kind = Kind::linear;
  std::vector<double> vector;  ///< [D]; not of a step
  double number = 1;

  bool is_differentiable() const { return kind != Kind::step; }
  /** r [N] of points [N,D], in their type and with their gradient. */
  torch::Tensor at(const torch::Tensor& points) const;
  std::string name() const;
};

/** A mixture of isotropic normal densities, times a step of its first
 * coordinate. Everything is closed form; tensors are float64 on the CPU unless
 * it says otherwise. Immutable. */
class Density {
 public:
  /** Shares need not add up to 1. Throws rsm::Error where lists differ in
   * length or numbers are out of range. */
  Density(const std::vector<double>& shares,
          const std::vector<std::vector<double>>& means,
          const std::vector<double>& variances);

  int64_t dimensions() const { return mean_.size(1); }

  /** [N] log densities of points [N,D]. */
  torch::Tensor log_at(const torch::Tensor& points) const;
  /** [count,D] */
  torch::Tensor sample(int64_t count, uint64_t seed) const;
  /** E[point | signal point + noise e = x], e ~ N(0, I): [N,D] of x [N,D] with
   * signal and noise > 0 [N], in the type and on the device of x, and with its
   * gradient. */
  torch::Tensor posterior_mean(const torch::Tensor& x,
                               const torch::Tensor& signal,
                               const torch::Tensor& noise) const;

  /** The density times e^(strength r), normalised. Throws rsm::Error where it
   * has a step already, or a quadratic reward outgrows it. */
  Density tilted(const PointReward& reward, double strength) const;
  /** log E[e^(strength r)] */
  double log_mass(const PointReward& reward, double strength) const;
  /** E[r] of the density tilted so strongly: the slope of log_mass(). */
  double tilted_reward(const PointReward& reward, double strength) const;
  /** KL(tilted || this) */
  double tilted_kl(const PointReward& reward, double strength) const;

 private:
  Density(torch::Tensor log_share, torch::Tensor mean, torch::Tensor variance);

  /** [K] what each component's share is multiplied with by the step. */
  torch::Tensor step_mass() const;
  /** Tilted parts whose shares are not normalised: their sum is the mass. */
  Density unnormalised(const PointReward& reward, double strength) const;

  torch::Tensor log_share_;  ///< [K]
  torch::Tensor mean_;       ///< [K,D]
  torch::Tensor variance_;   ///< [K]
  double height_ = 0;        ///< of the step in the log density
  double edge_ = 0;          ///< where it is
};

}  // namespace rsm::verify
