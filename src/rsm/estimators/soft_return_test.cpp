// Soft returns where the value is a closed form: normal steps and a quadratic
// reward. And what is compared, by hand.

#include "rsm/estimators/soft_return.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/zeroth_order.h"
#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

using Knobs = EstimatorKnobs;

/** Outputs that are linear in x, of a slope of its own at each time. */
class LinearOutputs : public Denoiser {
 public:
  LinearOutputs(const std::vector<double>& times, std::vector<double> slopes)
      : times_(times), slopes_(std::move(slopes)) {}

  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const ConditionRows& /*conditions*/) override {
    const double now = t[0].item<double>();  // of all rows
    size_t i = 0;
    while (i + 1 < slopes_.size() && std::abs(times_[i] - now) > 1e-6) ++i;
    return slopes_[i] * x;
  }

 private:
  std::vector<double> times_, slopes_;
};

/** Paths x' = A_i x + s_i eps, where the reference has B_i, and r = -c x^2 / 2:
 * the linear-quadratic regulator. With V = -p x^2 / 2 + const,
 *
 *     p_i = B_i^2 p_{i+1} / (1 + s_i^2 p_{i+1} / alpha),   p_N = c,
 *
 * is that of V = alpha log E_ref[e^(r / alpha)], and the optimal policy has A_i
 * = B_i / (1 + s_i^2 p_{i+1} / alpha). The last step draws no noise. */
struct Regulator {
  static constexpr int64_t kSteps = 5;
  static constexpr double kCurve = 4, kAlpha = 0.75, kStart = 3;

  Regulator() : path(flow_path()) {
    method.estimator.source = Knobs::Source::rollout;
    method.estimator.grouping = Knobs::Grouping::prompt;
    method.estimator.baseline = Knobs::Baseline::leave_one_out;
    method.estimator.spread = Knobs::Spread::none;
    method.estimator.returns = Knobs::Return::soft;
    method.strength.scale = 2;
    method.regularisation.beta = 2 * kAlpha;  // alpha = beta / g
    method.regularisation.advantage_clip =
        std::numeric_limits<double>::infinity();
    plan = make_plan(method, kSteps, {.level = 0.7});
    times = plan.times(*path);
    steps = plan.transitions(*path);
    const auto ode = path->ode_step(times, kSteps - 1);
    steps.back().a_x = ode.a_x;
    steps.back().m_y = ode.m_y;
    steps.back().s = 0;
    value.assign(kSteps + 1, kCurve);
    gain.resize(kSteps);
    std::vector<double> of_policy(kSteps);
    for (int64_t i = kSteps - 1; i >= 0; --i) {
      const auto& step = steps[i];
      const double slope = exact_output(*path, {0, 1}, step.t).slope;
      of_reference.insert(of_reference.begin(), slope);
      const double free = step.a_x + step.m_y * slope;
      const double damping = 1 + step.s * step.s * value[i + 1] / kAlpha;
      gain[i] = free / damping;
      value[i] = free * free * value[i + 1] / damping;
      of_policy[i] = (gain[i] - step.a_x) / step.m_y;
    }
    slopes = of_policy;
  }

  /** p of what a policy's rewards and, where `pays`, costs come to. */
  std::vector<double> curve_of_return(bool pays) const {
    std::vector<double> out(kSteps + 1, kCurve);
    for (int64_t i = kSteps - 1; i >= 0; --i) {
      const auto& step = steps[i];
      out[i] = gain[i] * gain[i] * out[i + 1];
      if (!pays || step.s == 0) continue;
      const double apart = step.m_y * (slopes[i] - of_reference[i]) / step.s;
      out[i] += kAlpha * apart * apart;
    }
    return out;
  }

  Sampled draw(int64_t members) const {
    RolloutRequest request;
    request.prompts = {{1, "a point", ""}};
    request.conditions.tokens = at::zeros({1, 1, 1});
    request.members = members;
    request.run_seed = 11;
    request.latent_shape = {1, 1, 1};
    request.start = at::full({1, 1, 1, 1}, kStart);
    LinearOutputs policy(times, slopes), reference(times, of_reference);
    Sampled out;
    out.conditions = request.conditions;
    out.rollout = roll_out(policy, *path, plan, request, {},
                           running_cost(method, reference));
    out.scores.value =
        -0.5 * kCurve * out.rollout.latents.flatten(1).square().sum(1);
    return out;
  }

  PathPointer path;
  Method method;
  RolloutPlan plan;
  std::vector<double> times;
  Transitions steps;
  std::vector<double> value, gain, slopes, of_reference;
};

/** How many standard errors E[(A eps / s + p A_i x) x] at the rows of a step is
 * off 0, which it is where the rows' guidance is the gradient of -p x'^2 / 2.
 */
double errors_off(const Regulator& here, const Sampled& sampled,
                  const torch::Tensor& advantage, int64_t step, double p) {
  const auto& at = here.steps[step];
  const auto of_step = [&](const torch::Tensor& all) {
    return all.flatten()
        .to(at::kDouble)
        .view({-1, Regulator::kSteps - 1})
        .select(1, step);
  };
  const auto x = of_step(sampled.rollout.x);
  const auto noise = (of_step(sampled.rollout.x_next) - at.a_x * x -
                      at.m_y * of_step(sampled.rollout.y)) /
                     at.s;
  const auto off =
      (of_step(advantage) * noise / at.s + p * here.gain[step] * x) * x;
  const auto count = static_cast<double>(off.numel());
  return (off.mean() / (off.std() / std::sqrt(count))).item<double>();
}

TEST(SoftReturn, LeadsToTheValuesGradientAndTheHardOneElsewhere) {
  Regulator here;
  const auto soft = here.curve_of_return(true);
  const auto hard = here.curve_of_return(false);
  for (size_t i = 0; i < soft.size(); ++i) {
    // The optimal policy's soft return is the value.
    EXPECT_NEAR(soft[i], here.value[i], 1e-9 * here.value[i]) << i;
  }
  const auto sampled = here.draw(20000);
  const auto guided = [&](Knobs::Return returns) {
    auto method = here.method;
    method.estimator.returns = returns;
    return ZerothOrder(method, 1).guide(sampled, 0).advantages.value;
  };
  const auto by_soft = guided(Knobs::Return::soft);
  const auto by_hard = guided(Knobs::Return::hard);
  for (const int64_t step : {1, 2}) {
    SCOPED_TRACE(step);
    const auto off = [&](const torch::Tensor& advantage, double p) {
      return std::abs(errors_off(here, sampled, advantage, step, p));
    };
    // One of 150,000 tries is beyond 4.5.
    EXPECT_LT(off(by_soft, here.value[step + 1]), 4.5);
    EXPECT_LT(off(by_hard, hard[step + 1]), 4.5);
    // They are limits of their own: of p 0.2 and 0.07, of 1.1 and 0.6.
    EXPECT_GT(off(by_soft, hard[step + 1]), 7);
    EXPECT_GT(off(by_hard, here.value[step + 1]), 7);
  }
}

TEST(SoftReturn, PaysByTheMethodsOwnTemperature) {
  Regulator here;
  const auto once = here.draw(2).rollout.cost;
  EXPECT_GT(once.slice(0, 0, 3).min().item<double>(), 0);
  const auto factor = [&](auto change) {
    Regulator other;
    change(other.method);
    return (other.draw(2).rollout.cost / once).slice(0, 0, 3);
  };
  const auto expect_all = [](const torch::Tensor& got, double expected) {
    EXPECT_TRUE(at::allclose(got, at::full_like(got, expected), 1e-5, 0))
        << got;
  };
  expect_all(factor([](Method& m) { m.regularisation.beta *= 3; }), 3);
  expect_all(factor([](Method& m) { m.strength.scale *= 2; }), 0.5);
}

/** Two paths of one prompt, of two rows each. */
Rollout two_paths() {
  Rollout out;
  out.prompts = {{1, "a point", ""}};
  out.transitions.resize(3);
  out.state_root = {0, 0, 1, 1};
  out.state_prompt = {0, 0, 0, 0};
  out.state_step = {0, 1, 0, 1};
  out.row_state = {0, 1, 2, 3};
  out.row_image = {0, 0, 1, 1};
  out.image_prompt = {0, 0};
  return out;
}

Knobs soft_path_knobs() {
  Knobs knobs;
  knobs.source = Knobs::Source::rollout;
  knobs.grouping = Knobs::Grouping::prompt;
  knobs.spread_offset = 0;
  return knobs;
}

std::vector<double> advantages_of(const std::vector<float>& rewards,
                                  const SoftReturn& soft,
                                  const Knobs& knobs = soft_path_knobs()) {
  RewardScores scores;
  scores.value = torch::tensor(rewards);
  const auto got =
      row_advantages(two_paths(), scores, knobs, 100, nullptr, soft);
  EXPECT_TRUE(got.alive.all().item<bool>());
  return doubles_of(got.value);
}

void expect_near(const std::vector<double>& got,
                 const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], 1e-6) << i;
  }
}

const std::vector<double> kCosts = {4, 1, 2, 1.5};

TEST(SoftReturn, CostsAreComparedStepByStepAndNothingDividesThem) {
  const SoftReturn soft = {.cost = kCosts, .alpha = {}};
  // Rewards of spread 2: -1 and 1. Costs are 1 and 0.25 from their means.
  expect_near(advantages_of({1, 5}, soft),
              {-1 - 1, -1 + 0.25, 1 + 1, 1 - 0.25});
  auto knobs = soft_path_knobs();
  knobs.baseline = Knobs::Baseline::leave_one_out;
  knobs.spread = Knobs::Spread::none;
  expect_near(advantages_of({1, 5}, soft, knobs),
              {-4 - 2, -4 + 0.5, 4 + 2, 4 - 0.5});
  knobs.baseline = Knobs::Baseline::none;
  expect_near(advantages_of({1, 5}, soft, knobs),
              {1 - 4, 1 - 1, 5 - 2, 5 - 1.5});
}

TEST(SoftReturn, WhereRewardsAreEqualCostsAreComparedAlone) {
  expect_near(advantages_of({2, 2}, {.cost = kCosts, .alpha = {}}),
              {-1, 0.25, 1, -0.25});
}

TEST(SoftReturn, ExponentialsAreRatiosToTheirMean) {
  const SoftReturn soft = {.cost = {}, .alpha = {2, 0.5, 2, 0.5}};
  // Of A and -A: alpha tanh(A / alpha).
  const double late = 0.5 * std::tanh(2.0), early = 2 * std::tanh(0.5);
  expect_near(advantages_of({1, 5}, soft), {-early, -late, early, late});
  // A cold one takes the best alone, and overflows nowhere.
  auto knobs = soft_path_knobs();
  knobs.spread = Knobs::Spread::none;
  knobs.baseline = Knobs::Baseline::leave_one_out;  // counts as the mean
  expect_near(
      advantages_of({1, 5001}, {.cost = {}, .alpha = {1, 1, 1, 1}}, knobs),
      {-1, -1, 1, 1});
}

TEST(SoftReturn, SaysWhatItCosts) {
  const auto steps = cost_by_step(two_paths(), {.cost = kCosts, .alpha = {}});
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[0], 3);
  EXPECT_EQ(steps[1], 1.25);
  EXPECT_TRUE(std::isnan(steps[2]));
  expect_parts(error_of([] {
                 advantages_of({1, 2}, {.cost = {1}, .alpha = {}});
               }),
               {"[soft return]", "1 costs", "4 rows"});
  Regulator here;
  auto sampled = here.draw(2);
  sampled.rollout.cost[1].fill_(NAN);
  expect_parts(error_of([&] { ZerothOrder(here.method, 1).guide(sampled, 0); }),
               {"[soft return]", "row 1", "nan"});
}

}  // namespace
}  // namespace rsm
