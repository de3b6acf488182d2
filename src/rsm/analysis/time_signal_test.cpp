#include "rsm/analysis/time_signal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/strength.h"
#include "rsm/rollouts/gaussian_testing.h"

namespace rsm {
namespace {

constexpr int64_t kElements = 8;
const std::vector<int64_t> kLatent = {2, 2, 2};

/** GaussianDenoiser's output plus a weight an element, which is 0: the gradient
 * in the weights is the sum of those in the outputs. */
class ShiftedGaussian : public NetworkModule {
 public:
  explicit ShiftedGaussian(PathPointer path)
      : path_(std::move(path)),
        known_(path_),
        shift_(register_parameter("shift", at::zeros(kLatent))) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override {
    return known_.predict(x, t, condition) + shift_;
  }
  std::shared_ptr<NetworkModule> fresh() const override {
    return std::make_shared<ShiftedGaussian>(path_);
  }
  std::vector<int64_t> latent_shape() const override { return kLatent; }
  std::vector<int64_t> latent_shape(int64_t /*height*/,
                                    int64_t /*width*/) const override {
    return kLatent;
  }
  std::pair<int64_t, int64_t> condition_widths() const override {
    return {1, 1};
  }
  nlohmann::json config_json() const override { return {}; }
  std::string part() const override { return "transformer"; }

 private:
  PathPointer path_;
  GaussianDenoiser known_;
  torch::Tensor shift_;
};

/** <a, x> + q <b, x>^2 / 2, where b is a unit vector and <a, b> = 0; 0 of every
 * other prompt where it is told so. */
class QuadraticReward : public Reward {
 public:
  explicit QuadraticReward(double q, bool every_other = false)
      : q_(q), every_other_(every_other) {
    a_[0] = 1.5;
    a_[3] = -2;
    b_[5] = 1;
  }
  std::string name() const override { return "quadratic"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    const auto x = images.flatten(1);
    auto value = x.mv(a_) + 0.5 * q_ * x.mv(b_).square();
    for (size_t i = 0; every_other_ && i < prompts.size(); ++i) {
      if (prompts[i].id % 2 == 1) value[static_cast<int64_t>(i)] = 0;
    }
    return {value, {}};
  }
  /** |a|^2 */
  static double slope() { return 1.5 * 1.5 + 4; }

 private:
  double q_;
  bool every_other_;
  torch::Tensor a_ = at::zeros({kElements}), b_ = at::zeros({kElements});
};

/** A branch's picture of GaussianDenoiser: root x_T + noise eps. */
struct Spread {
  double root = 1, noise = 0;
};

Spread spread_of(const PathPointer& path, const RolloutPlan& plan,
                 int64_t step) {
  GaussianDenoiser denoiser(path);
  const auto times = plan.times(*path);
  const auto factor = [&](const Transition& transition) {
    const auto y = denoiser.predict(
        at::ones({1, 1, 1, 1}),
        at::full({1}, static_cast<float>(transition.t), at::kFloat),
        Condition{at::zeros({1, 1, 1}), at::zeros({1, 1})});
    return transition.a_x + transition.m_y * y.item<double>();
  };
  const auto noisy = plan.transitions(*path)[step];
  Spread out{.root = 1, .noise = noisy.s};
  for (int64_t i = 0; i < plan.steps - 1; ++i) {
    const double f = factor(i == step ? noisy : path->ode_step(times, i));
    out.root *= f;
    if (i > step) out.noise *= f;
  }
  return out;
}

Method plain_method() {
  Method method;
  method.name = "plain";
  method.estimator.baseline = EstimatorKnobs::Baseline::leave_one_out;
  method.estimator.spread = EstimatorKnobs::Spread::none;
  method.regularisation.advantage_clip = 1e9;
  return method;
}

SignalOptions options_on(const Path& path) {
  SignalOptions out;
  out.steps = 4;
  out.noise.level = usual_level(out.noise.kind, path.family());
  out.branches = 6;
  out.blocks = 12;
  return out;
}

RolloutRequest many_roots(int64_t roots) {
  RolloutRequest out;
  for (int64_t i = 0; i < roots; ++i) out.prompts.push_back({i, "prompt", ""});
  out.conditions = {at::zeros({roots, 1, 1}), at::zeros({roots, 1})};
  out.run_seed = 3;
  out.latent_shape = kLatent;
  return out;
}

std::vector<TimeSignal> measured(const PathPointer& path, double q,
                                 const RolloutRequest& request,
                                 const SignalOptions& options,
                                 bool every_other = false) {
  const auto network = std::make_shared<ShiftedGaussian>(path);
  GuidedNetwork guided(network, {}, 1, {.tile = 128});
  NoProgress silent;
  return time_signals(plain_method(), options, request,
                      {guided, guided, network->parameters(), *path,
                       LatentsThemselves(), QuadraticReward(q, every_other)},
                      silent);
}

/** Within what chance explains, which is known to be so much of it at most. */
void expect_measured(const Measured& found, double truth, double most,
                     const std::string& what) {
  constexpr double kErrors = 4;
  EXPECT_NEAR(found.value, truth, kErrors * found.error) << what;
  EXPECT_LT(found.error, most * truth) << what;
  EXPECT_GT(found.error, 0) << what;
}

/** With x = root x_T + c eps the reward of a branch is, up to a constant of the
 * root, <a, c eps> + q (root <b, x_T> c z + c^2 z^2 / 2) with z = <b, eps>. Its
 * odd part has the variance c^2 |a|^2 + q^2 root^2 c^2, its even one
 * q^2 c^4 / 2. A root's gradient is g m_y / (s D) times the covariance of
 * rewards and noise over its K branches: of mean c a, and for q = 0 of
 * covariance c^2 |a|^2 (D + 1) / (K - 1), by Isserlis. */
TEST(TimeSignals, AreThoseOfALinearGaussianModel) {
  for (const auto& path : both_paths()) {
    auto options = options_on(*path);
    options.blocks = 120;
    const auto found = measured(path, 0, many_roots(480), options);
    ASSERT_EQ(found.size(), 3U);
    for (const auto& signal : found) {
      const auto what = cat(name_of(*path), " step ", signal.step);
      const auto plan = make_plan(
          sibling_method(plain_method(), 4, signal.step, 6), 4, options.noise);
      const double c = spread_of(path, plan, signal.step).noise;
      const double odd = c * c * QuadraticReward::slope();
      expect_measured(signal.variance, odd, 0.05, what);
      expect_measured(signal.odd, odd, 0.05, what);
      expect_measured(signal.odd_share, 1, 0.05, what);
      const auto step = plan.transitions(*path)[signal.step];
      const double factor =
          strength(plain_method().strength, step) * step.m_y / step.s;
      const double unit = factor * factor / (kElements * kElements);
      expect_measured(signal.signal, unit * odd, 0.1, what);
      expect_measured(signal.noise, unit * odd * (kElements + 1) / 5, 0.1,
                      what);
      expect_measured(signal.noise_scale, (kElements + 1) / 5.0, 0.1, what);
      EXPECT_EQ(signal.evaluations, plan.evaluations_per_root() + 1) << what;
      EXPECT_EQ(signal.branch_evaluations, 3 - signal.step) << what;
    }
  }
}

/** A root whose siblings' rewards are all alike pulls nothing; it is a root. */
TEST(TimeSignals, CountRootsThatTellNothing) {
  const auto path = flow_path();
  const auto options = options_on(*path);
  const auto all = measured(path, 0, many_roots(480), options);
  const auto half = measured(path, 0, many_roots(480), options, true);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_NEAR(half[i].signal.value, all[i].signal.value / 4,
                4 * std::hypot(half[i].signal.error, all[i].signal.error / 4));
    EXPECT_LT(half[i].signal.value + 4 * half[i].signal.error,
              all[i].signal.value);
  }
}

TEST(TimeSignals, TellTheOddPartOfACurvedReward) {
  constexpr double kCurve = 30;
  const auto path = flow_path();
  const auto options = options_on(*path);
  for (const auto& signal : measured(path, kCurve, many_roots(480), options)) {
    const auto what = cat("step ", signal.step);
    const auto plan = make_plan(
        sibling_method(plain_method(), 4, signal.step, 6), 4, options.noise);
    const auto [root, c] = spread_of(path, plan, signal.step);
    const double odd =
        c * c * (QuadraticReward::slope() + kCurve * kCurve * root * root);
    const double even = kCurve * kCurve * std::pow(c, 4) / 2;
    expect_measured(signal.variance, odd + even, 0.3, what);
    expect_measured(signal.odd, odd, 0.3, what);
    expect_measured(signal.odd_share, odd / (odd + even), 0.3, what);
    if (signal.step == 0) {
      EXPECT_GT(even, 0.2 * odd);
    }
  }
}

TEST(TimeSignals, DoNotDependOnTheirBlocksButForErrors) {
  const auto path = flow_path();
  auto options = options_on(*path);
  const auto many = measured(path, 1, many_roots(24), options);
  options.blocks = 3;
  const auto few = measured(path, 1, many_roots(24), options);
  for (size_t i = 0; i < many.size(); ++i) {
    EXPECT_EQ(many[i].variance.value, few[i].variance.value);
    EXPECT_EQ(many[i].odd.error, few[i].odd.error);
    EXPECT_NEAR(many[i].signal.value, few[i].signal.value,
                4 * std::hypot(many[i].signal.error, few[i].signal.error));
  }
}

TEST(TimeSignals, RefuseWhatTellsNothing) {
  const auto path = flow_path();
  auto options = options_on(*path);
  options.branches = 1;
  EXPECT_THROW(measured(path, 0, many_roots(24), options), UsageError);
  options = options_on(*path);
  EXPECT_THROW(measured(path, 0, many_roots(25), options), UsageError);
  options.blocks = 2;
  EXPECT_THROW(measured(path, 0, many_roots(24), options), UsageError);
  auto method = plain_method();
  method.estimator.source = EstimatorKnobs::Source::trajectory;
  EXPECT_THROW(sibling_method(method, 4, 0, 6), UsageError);
  method.estimator.source = EstimatorKnobs::Source::pictures;
  EXPECT_THROW(sibling_method(method, 4, 0, 6), UsageError);
}

/** (B |G_B|^2 - b |G_b|^2) / (B - b) and (|G_b|^2 - |G_B|^2) / (1/b - 1/B), of
 * batches of b and of all B roots. Source: arXiv 1812.06162, appendix A. */
TEST(GradientScale, IsThatOfSmallAndLargeBatches) {
  const int64_t roots = 5, blocks = 7;
  const auto gradients = counted_normal(1, {blocks, 11}).to(at::kDouble) + 1;
  const auto found = gradient_scale(gradients.mm(gradients.t()), roots);
  const double small = gradients.square().sum(1).mean().item<double>();
  const double large = gradients.mean(0).square().sum().item<double>();
  const double b = roots, all = roots * blocks;
  const double signal = (all * large - b * small) / (all - b);
  const double noise = (small - large) / (1 / b - 1 / all);
  EXPECT_NEAR(found.signal.value, signal, 1e-9);
  EXPECT_NEAR(found.noise.value, noise, 1e-9);
  EXPECT_NEAR(found.noise_scale.value, noise / signal, 1e-9);
}

TEST(GradientScale, HasTheErrorsThatRepetitionsShow) {
  std::vector<double> values;
  double error = 0;
  constexpr int kRepeats = 200;
  for (int i = 0; i < kRepeats; ++i) {
    const auto gradients =
        counted_normal(100 + i, {8, 20}).to(at::kDouble) + 0.5;
    const auto found = gradient_scale(gradients.mm(gradients.t()), 1);
    values.push_back(found.signal.value);
    error += found.signal.error / kRepeats;
  }
  const auto all = torch::tensor(values, at::kDouble);
  // The mean of the shifts is 20 * 0.5^2.
  EXPECT_NEAR(all.mean().item<double>(), 5, 4 * error / std::sqrt(kRepeats));
  // A jackknife of 8 is a little too careful, and 200 repeats tell a standard
  // deviation to 5 %.
  EXPECT_NEAR(error / all.std().item<double>(), 1.05, 0.2);
}

TEST(GradientScale, SaysWhereNoSignalIsSeen) {
  const auto products = at::eye(4, at::kDouble) - 0.1;
  const auto found = gradient_scale(products, 2);
  EXPECT_LT(found.signal.value, 0);
  EXPECT_TRUE(std::isnan(found.noise_scale.value));
  EXPECT_THROW(gradient_scale(at::eye(2, at::kDouble), 1), Error);
}

}  // namespace
}  // namespace rsm
