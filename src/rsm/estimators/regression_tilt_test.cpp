// Where losses on noised samples are least, and where training by them ends,
// against tilted densities in closed form.

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
#include "rsm/paths/transitions.h"

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

torch::Tensor column(const std::vector<double>& values) {
  return torch::tensor(values, torch::kFloat64).view({-1, 1, 1, 1});
}

/** v of a model of two weights: as a perfect one of N(0, 1) would say, moved as
 * one of N(w_0 + w_1 x, 1) would. x and t are [N,1,1,1]. */
torch::Tensor two_weights(const torch::Tensor& x, const torch::Tensor& t,
                          const torch::Tensor& w) {
  const auto variance = (1 - t).square() + t.square();
  return ((2 * t - 1) * x - (w[0] + w[1] * x) * t) / variance;
}

/** [2,1,1,1] its samples from the starts -1 and 1. It is affine, and so is what
 * it makes of starts: two, with the first three moments of normal numbers, tell
 * the whole mean and spread. */
torch::Tensor samples_of(const torch::Tensor& w) {
  constexpr int64_t kSteps = 100;
  const FlowPath path;
  const auto times = path.times(kSteps);
  auto x = column({-1, 1});
  torch::Tensor before;
  for (int64_t i = 0; i < kSteps; ++i) {
    const auto y = two_weights(x, column({times[i]}), w);
    const auto output =
        i > 0 ? y + path.extrapolation(times, i) * (y - before) : y;
    x = step(path.ode_step(times, i), x, output, {});
    before = y;
  }
  return x;
}

/** Two pictures of one prompt, each noised by -1 and by 1 at the middles of
 * equal shares of the method's times. */
struct Quadrature {
  static constexpr int64_t kTimes = 8;
  Sampled sampled;
  torch::Tensor t, noise;  ///< [S,1,1,1]

  explicit Quadrature(const PictureKnobs& knobs) {
    std::vector<double> times, noises;
    auto& rollout = sampled.rollout;
    rollout.prompts.resize(1);
    rollout.image_prompt = {0, 0};
    for (int64_t k = 0; k < kTimes; ++k) {
      const double share = (static_cast<double>(k) + 0.5) / kTimes;
      const auto row = forward_row(FlowPath(), drawn_time(knobs, {}, share));
      rollout.transitions.insert(rollout.transitions.end(), 2, row);
    }
    for (int64_t image = 0; image < 2; ++image) {
      for (int64_t draw = 0; draw < 2 * kTimes; ++draw) {
        rollout.row_state.push_back(rollout.states());
        rollout.row_image.push_back(image);
        rollout.state_root.push_back(image);
        rollout.state_prompt.push_back(0);
        rollout.state_step.push_back(draw);
        times.push_back(rollout.transitions[draw].t);
        noises.push_back(draw % 2 == 0 ? -1 : 1);
      }
    }
    t = column(times);
    noise = column(noises);
  }
  /** r = x_0. */
  void take(const torch::Tensor& pictures) {
    const auto each = pictures.repeat_interleave(2 * kTimes, 0);
    sampled.rollout.x = (1 - t) * each + t * noise;
    sampled.rollout.x_next = noise - each;
    sampled.scores.value = pictures.flatten().to(torch::kFloat32);
  }
};

/** One epoch of a method: its loss's gradient in the weights. */
torch::Tensor gradient_of(const Method& method, const Sampled& sampled,
                          const torch::Tensor& t, const torch::Tensor& w,
                          const torch::Tensor& old) {
  const auto& rollout = sampled.rollout;
  const auto states = all_states(rollout);
  Regression estimator(method, 1);
  auto guidance = estimator.guide(sampled, 0);
  const auto reference = two_weights(rollout.x, t, torch::zeros_like(old));
  const Outputs outputs = {{two_weights(rollout.x, t, old), states},
                           {reference, states}};
  const auto weights =
      update_weights(method, rollout, guidance.advantages, states);
  auto terms = loss_terms(method, rollout, outputs, guidance, weights, states);
  const auto parameters = w.clone().requires_grad_();
  const auto y = two_weights(rollout.x, t, parameters);
  estimator.at_output(y.detach(), terms);
  y.backward(rsm_loss(y.detach(), terms.states, terms.rows).gradient);
  return parameters.grad();
}

/** Epoch by epoch, its samples and its target of the slower copy, to where
 * nothing moves any more: the tilt by e^(m r) of N(0, 1), N(m, 1), exactly. No
 * number is drawn, so that what is left is the sampler's: 100 steps widen
 * samples by 4e-4, and what tilts them by twice that. */
TEST(RegressionTilt, RamTrainsToTheTiltOfAGaussian) {
  constexpr double m = 0.7, rate = 0.3;
  constexpr int64_t kEpochs = 60;
  auto ram = find_method("ram");
  ram.estimator.spread = EstimatorKnobs::Spread::none;
  ram.strength.scale = m;
  const auto& pictures = ram.estimator.pictures;
  ASSERT_EQ(pictures.sampled, PictureKnobs::Sampled::old);
  Quadrature quadrature(pictures);
  auto w = torch::zeros({2}, torch::kFloat64);
  auto old = w.clone();
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    quadrature.take(samples_of(old));
    w = w - rate * gradient_of(ram, quadrature.sampled, quadrature.t, w, old);
    old = old.lerp(w, 1 - pictures.old.decay(epoch + 1));
  }
  const auto samples = samples_of(w);
  EXPECT_NEAR(samples.mean().item<double>(), m, 2e-3 * m);
  EXPECT_NEAR(samples.std(/*unbiased=*/false).item<double>(), 1, 2e-3);
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
