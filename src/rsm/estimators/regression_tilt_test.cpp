// Where losses on noised samples are least, against tilted densities in closed
// form.

#include <gtest/gtest.h>

#include <cmath>
#include <utility>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/distance.h"
#include "rsm/estimators/regression.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/forward.h"

namespace rsm {
namespace {

/** One state of a flow and what samples of it weigh: all samples that could
 * have led to x_t. */
struct OneState {
  Rollout rollout;
  torch::Tensor picture;  ///< [N] float64

  OneState(double t, double x_t, const torch::Tensor& samples)
      : picture(samples) {
    rollout.transitions = {forward_row(FlowPath(), t)};
    for (int64_t i = 0; i < samples.numel(); ++i) {
      rollout.row_state.push_back(i);
      rollout.row_image.push_back(i);
      rollout.image_prompt.push_back(0);
      rollout.state_root.push_back(i);
      rollout.state_prompt.push_back(0);
      rollout.state_step.push_back(0);
    }
    const auto noise = (x_t - (1 - t) * samples) / t;
    rollout.x_next = (noise - samples).view({-1, 1, 1, 1});
    rollout.x = torch::full_like(rollout.x_next, x_t);
  }

  /** dL/dy where the output, the old and the reference's are one number. */
  double slope_at(const Method& method, const torch::Tensor& weights, double y,
                  double y_old) const {
    const auto states = all_states(rollout);
    const auto all = [&](double value) {
      return torch::full_like(rollout.x, value);
    };
    Guidance guidance;
    guidance.advantages =
        uncompared(weights.to(torch::kFloat32),
                   torch::ones({picture.numel()}, torch::kBool), picture);
    const Outputs outputs = {{all(y_old), states}, {all(y_old), states}};
    auto terms = loss_terms(
        method, rollout, outputs, guidance,
        update_weights(method, rollout, guidance.advantages, states), states);
    Regression(method, 1).at_output(all(y), terms);
    return rsm_loss(all(y), terms.states, terms.rows)
        .gradient.sum()
        .item<double>();
  }
  /** Where a loss that is a parabola in y is least. */
  double least(const Method& method, const torch::Tensor& weights,
               double y_old) const {
    const double at_0 = slope_at(method, weights, 0, y_old);
    const double at_1 = slope_at(method, weights, 1, y_old);
    return -at_0 / (at_1 - at_0);
  }
};

constexpr int64_t kSamples = 200000;

/** Samples x_0 given x_t of a mixture of N(mean, deviation^2), and E[x_0|x_t].
 */
struct Posterior {
  torch::Tensor samples;
  double mean = 0;

  Posterior(double t, double x_t, const std::vector<double>& means,
            const std::vector<double>& shares, double deviation) {
    const double precision =
        1 / (deviation * deviation) + (1 - t) * (1 - t) / (t * t);
    const double spread = std::hypot((1 - t) * deviation, t);
    std::vector<double> likely, centre;
    double sum = 0;
    for (size_t i = 0; i < means.size(); ++i) {
      const double z = (x_t - (1 - t) * means[i]) / spread;
      likely.push_back(shares[i] * std::exp(-0.5 * z * z));
      centre.push_back(
          (means[i] / (deviation * deviation) + (1 - t) * x_t / (t * t)) /
          precision);
      sum += likely.back();
    }
    std::vector<torch::Tensor> parts;
    for (size_t i = 0; i < means.size(); ++i) {
      mean += likely[i] / sum * centre[i];
      const auto count = std::lround(likely[i] / sum * kSamples);
      parts.push_back(centre[i] +
                      counted_normal(i + 1, {count}).to(torch::kFloat64) /
                          std::sqrt(precision));
    }
    samples = torch::cat(parts);
  }
  /** E[v_c | x_t] */
  double velocity(double t, double x_t) const {
    return (x_t - (1 - t) * mean) / t - mean;
  }
};

/** At x_t, with samples of N(0, 1) and r = x_0, the tilted model e^(m r) has
 * v + dv, dv = -(t / (1 - t)) m (1 - t) / ((1 - t)^2 + t^2): where the loss of
 * RAM is least. */
TEST(RegressionTilt, RamIsLeastAtTheTiltOfAGaussian) {
  constexpr double m = 0.7, x_t = 0.3;
  auto method = find_method("ram");
  method.strength.scale = m;
  const std::vector<std::pair<double, double>> shifts = {
      {0.2, -0.205882}, {0.5, -0.7}, {0.8, -0.823529}};
  for (const auto& [t, expected] : shifts) {
    const Posterior posterior(t, x_t, {0}, {1}, 1);
    const OneState state(t, x_t, posterior.samples);
    const double v = posterior.velocity(t, x_t);
    EXPECT_NEAR(state.least(method, posterior.samples, v) - v, expected,
                0.01 * std::abs(expected))
        << t;
  }
}

/** Samples of a mixture that weigh e^(r / tau), r = x_0, lead in one regression
 * to the tilted mixture: means moved by deviation^2 / tau, shares by
 * e^(mean / tau). */
TEST(RegressionTilt, RwrIsLeastAtTheTiltOfAMixture) {
  constexpr double tau = 0.8, deviation = 0.4, x_t = 0.2;
  auto method = find_method("orw-cfm");
  method.regularisation.beta = 0;
  method.estimator.pictures.temperature = tau;
  const std::vector<double> means = {-1, 0.5}, shares = {0.6, 0.4};
  std::vector<double> tilted_means, tilted_shares;
  for (size_t i = 0; i < means.size(); ++i) {
    tilted_means.push_back(means[i] + deviation * deviation / tau);
    tilted_shares.push_back(shares[i] * std::exp(means[i] / tau));
  }
  for (const double t : {0.3, 0.6, 0.9}) {
    const Posterior plain(t, x_t, means, shares, deviation);
    const Posterior tilted(t, x_t, tilted_means, tilted_shares, deviation);
    const OneState state(t, x_t, plain.samples);
    const auto weights = weights_of(
        method.estimator.pictures, plain.samples,
        std::vector<int64_t>(static_cast<size_t>(plain.samples.numel()), 0));
    const double moved = tilted.velocity(t, x_t) - plain.velocity(t, x_t);
    ASSERT_GT(std::abs(moved), 0.05);
    EXPECT_NEAR(state.least(method, weights, 0) - plain.velocity(t, x_t), moved,
                0.02 * std::abs(moved))
        << t;
  }
}

/** With its pull to the reference at 1 / eta, AWM's step is RAM's with m = eta,
 * for a small eta: the first order in A. */
TEST(RegressionTilt, AwmMovesAsRamToFirstOrder) {
  constexpr double eta = 1e-3, t = 0.6, x_t = 0.1;
  auto awm = find_method("awm"), ram = find_method("ram");
  awm.estimator.pictures.distance = PictureKnobs::Distance::square;
  awm.strength.shape = StrengthKnobs::Shape::flat;
  awm.regularisation.beta = 1 / eta;
  awm.regularisation.old = 0;
  ram.strength.scale = eta;
  const Posterior posterior(t, x_t, {0}, {1}, 1);
  const OneState state(t, x_t, posterior.samples);
  const double v = posterior.velocity(t, x_t);
  const auto& a = posterior.samples;
  const double by_awm = state.least(awm, a, v) - v;
  const double by_ram = state.least(ram, a, v) - v;
  ASSERT_GT(std::abs(by_ram), 1e-5);
  EXPECT_NEAR(by_awm, by_ram, 2e-3 * std::abs(by_ram));
}

}  // namespace
}  // namespace rsm
