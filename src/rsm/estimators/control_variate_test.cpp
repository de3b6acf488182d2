// Laws of the control variate: the mean stays, the variance falls by what is
// foretold.

#include "rsm/estimators/control_variate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/testing.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Source = EstimatorKnobs::Source;
using Spread = EstimatorKnobs::Spread;

constexpr int64_t kElements = 12;
constexpr int64_t kRows = 4;  // of a state or, of paths, of a step

torch::Tensor normal(uint64_t index, at::IntArrayRef shape) {
  return counted_normal(counted_seed(3, Purpose::bench, {index}), shape);
}

/** Many states of kRows rows each, or paths of two steps in groups of kRows:
 * states, rows and noise stand in the same order. Their outputs are noise, too,
 * and nothing that an estimate may see. */
struct Draws {
  Draws(Source source, int64_t roots) {
    const bool paths = source == Source::rollout;
    auto& transitions = rollout.transitions;
    transitions.resize(3);
    for (auto& step : transitions) {
      step.a_x = 0.8;
      step.m_y = -0.3;
      step.s = 0.5;
    }
    for (int64_t root = 0; root < roots; ++root) {
      for (int64_t step = 0; step < (paths ? 2 : 1); ++step) {
        rollout.state_root.push_back(root);
        rollout.state_prompt.push_back(paths ? root / kRows : root);
        rollout.state_step.push_back(step);
        for (int64_t k = 0; k < (paths ? 1 : kRows); ++k) {
          rollout.row_state.push_back(rollout.states() - 1);
          rollout.row_image.push_back(paths ? root : rollout.images());
          if (!paths) rollout.image_prompt.push_back(root);
        }
      }
      if (paths) rollout.image_prompt.push_back(root / kRows);
    }
    rollout.prompts.resize(paths ? roots / kRows : roots);
    const std::vector<int64_t> shape = {rollout.states(), 3, 2, 2};
    rollout.x = normal(1, shape);
    rollout.y = normal(2, shape);
    noise = normal(3, {rollout.rows(), 3, 2, 2});
    const auto of_row = torch::tensor(rollout.row_state, at::kLong);
    rollout.x_next = 0.8 * rollout.x.index_select(0, of_row) -
                     0.3 * rollout.y.index_select(0, of_row) + 0.5 * noise;
    knobs.source = source;
    knobs.grouping = paths ? EstimatorKnobs::Grouping::prompt
                           : EstimatorKnobs::Grouping::seed;
  }

  /** [R,D] */
  torch::Tensor flat_noise() const { return noise.flatten(1).to(at::kDouble); }
  /** Every state has the same slope [D]. */
  StateOutputs same_slope(const torch::Tensor& of) const {
    return {of.view({1, 3, 2, 2})
                .expand({rollout.states(), 3, 2, 2})
                .to(at::kFloat),
            all_states(rollout)};
  }
  /** [R] The rewards of pictures that rows led to. */
  Guidance guidance(const torch::Tensor& of_images) const {
    return {row_advantages(rollout, scores(of_images.to(at::kFloat)), knobs,
                           /*clip=*/1e9, nullptr),
            {}};
  }
  /** [R,D] guidance of each row. */
  torch::Tensor of_rows(const Guidance& guidance) const {
    auto out =
        guidance.advantages.value.to(at::kDouble).unsqueeze(1) * flat_noise();
    if (!guidance.slope.states.empty()) {
      out =
          out + guidance.slope.of(rollout.row_state).flatten(1).to(at::kDouble);
    }
    return out;
  }
  /** [groups,D] means over what is compared. */
  torch::Tensor estimates(const Guidance& guidance) const {
    const auto rows = of_rows(guidance);
    return knobs.source == Source::rollout
               ? rows.view({-1, kRows, 2, kElements}).mean(1).flatten(0, 1)
               : rows.view({-1, kRows, kElements}).mean(1);
  }
  torch::Tensor combined(const torch::Tensor& rewards,
                         const torch::Tensor& slope, double c) const {
    auto out = guidance(rewards);
    const auto slopes = same_slope(slope);
    apply(control_variate(rollout, slopes, knobs), slopes,
          std::vector<double>(3, c), rollout, out);
    return estimates(out);
  }
  /** Of pictures: what the noise of all their rows says together. */
  torch::Tensor rewards(
      const std::function<torch::Tensor(const torch::Tensor&)>& of_noise)
      const {
    auto of_rows = of_noise(flat_noise());
    return knobs.source == Source::rollout ? of_rows.view({-1, 2}).sum(1)
                                           : of_rows;
  }

  Rollout rollout;
  torch::Tensor noise;
  EstimatorKnobs knobs;
};

/** Curved, of noise [R,D]. */
torch::Tensor curved(const torch::Tensor& eps) {
  const auto weight = at::linspace(-1, 1, kElements, at::kDouble);
  const auto along = eps.mv(weight);
  return 3 + along + 0.3 * along.square() + 0.5 * (2 * eps.select(1, 3)).sin();
}

/** A slope that is neither the reward's nor at right angles to it. */
torch::Tensor some_slope() {
  return at::linspace(0.5, -1.5, kElements, at::kDouble).cos();
}

/** The largest of the elements' mean differences, in its standard errors. */
double apart(const torch::Tensor& a, const torch::Tensor& b) {
  const auto difference = a - b;
  const double count = static_cast<double>(difference.size(0));
  const auto error = difference.std(0) / std::sqrt(count);
  return (difference.mean(0) / error).abs().max().item<double>();
}

// Standard errors of the largest of twelve means, over all cases: 4.5 happens
// by chance once in 10,000, and these draws are counted.
constexpr double kByChance = 4.5;

TEST(ControlVariate, ChangesNoMeanWhateverSlopeAndCoefficientAre) {
  for (const auto source : {Source::branches, Source::rollout}) {
    for (const auto baseline :
         {Baseline::mean, Baseline::leave_one_out, Baseline::none}) {
      for (const auto spread : {Spread::group, Spread::none}) {
        Draws here(source, 16000);
        here.knobs.baseline = baseline;
        here.knobs.spread = spread;
        const auto rewards = here.rewards(curved);
        const auto plain = here.estimates(here.guidance(rewards));
        const double c = 0.7;
        const auto right = here.combined(rewards, some_slope(), c);
        EXPECT_LT(apart(right, plain), kByChance)
            << static_cast<int>(source) << static_cast<int>(baseline);
        // The same without what makes up for it, and with the wrong sign of it.
        const auto made_up = c * some_slope() *
                             (baseline == Baseline::none ? 1 : 1 - 1.0 / kRows);
        EXPECT_GT(apart(right - made_up, plain), 3 * kByChance);
        EXPECT_GT(apart(right - 2 * made_up, plain), 3 * kByChance);
      }
    }
  }
}

/** Of the means of groups, summed over latent elements. */
double variance(const torch::Tensor& estimates) {
  return estimates.var(0).sum().item<double>();
}

TEST(ControlVariate, LeavesNoNoiseOfALinearRewardWithItsOwnSlope) {
  for (const auto source : {Source::branches, Source::rollout}) {
    Draws here(source, 400);
    here.knobs.spread = Spread::none;
    for (const auto baseline : {Baseline::mean, Baseline::none}) {
      here.knobs.baseline = baseline;
      const auto rewards = here.rewards(
          [](const torch::Tensor& eps) { return eps.mv(some_slope()); });
      const auto plain = here.estimates(here.guidance(rewards));
      const auto left = here.combined(rewards, some_slope(), 1);
      if (source == Source::branches || baseline == Baseline::mean) {
        const double rest = variance(left) / variance(plain);
        // Paths without a baseline keep their other steps' noise.
        EXPECT_LT(rest, source == Source::branches ? 1e-9 : 0.7);
      }
      const auto expected =
          some_slope() * (baseline == Baseline::none ? 1 : 1 - 1.0 / kRows);
      if (source == Source::branches) {
        EXPECT_LT((left - expected).abs().max().item<double>(), 1e-4);
      }
    }
  }
}

TEST(ControlVariate, TakesTheShareOfTheVarianceThatItForetells) {
  Draws here(Source::branches, 20000);
  for (const double strange : {0.5, 1.0, 3.0}) {
    const auto other = normal(9, {here.rollout.rows()}).to(at::kDouble);
    const auto rewards = here.rewards([&](const torch::Tensor& eps) {
      return eps.mv(some_slope()) + strange * some_slope().norm() * other;
    });
    const auto guidance = here.guidance(rewards);
    const auto variate = control_variate(
        here.rollout, here.same_slope(some_slope()), here.knobs);
    const FitSums sums(here.rollout, guidance.advantages, variate.value);
    const double rho2 = sums.shares()[0];
    EXPECT_TRUE(std::isnan(sums.shares()[1]));
    // Advantages are divided by the spread of four rewards, which varies: of
    // three free squares, (E chi)^2 / E chi^2.
    constexpr double kOfFour = 8 / (3 * std::numbers::pi);
    EXPECT_NEAR(rho2, kOfFour / (1 + strange * strange), 0.01);
    RunningFit fit(0.9);
    fit.add(sums);
    const double c = fit.coefficients(3)[0];
    const double plain = variance(here.estimates(guidance));
    const auto left = [&](double coefficient) {
      return variance(here.combined(rewards, some_slope(), coefficient)) /
             plain;
    };
    // Exactly so for infinitely many elements; a slope's own square is left.
    EXPECT_NEAR(left(c), 1 - rho2, 2.0 / kElements);
    EXPECT_LT(left(c), left(0.7 * c));
    EXPECT_LT(left(c), left(1.3 * c));
  }
}

TEST(ControlVariate, IsNothingWithoutACoefficient) {
  Draws here(Source::branches, 5);
  const auto rewards = here.rewards(curved);
  const auto plain = here.guidance(rewards);
  auto same = plain;
  const auto slopes = here.same_slope(some_slope());
  apply(control_variate(here.rollout, slopes, here.knobs), slopes, {0, 0, 0},
        here.rollout, same);
  EXPECT_TRUE(same.advantages.value.equal(plain.advantages.value));
  EXPECT_TRUE(same.slope.states.empty());
}

TEST(ControlVariate, CountsRowsOfDeadGroupsAndNoneThatAreNotTrained) {
  Draws here(Source::branches, 3);
  auto rewards = here.rewards(curved);
  rewards.slice(0, 0, kRows).fill_(1);  // the first state's are equal
  auto guidance = here.guidance(rewards);
  guidance.advantages.trained.slice(0, kRows, 2 * kRows).fill_(false);
  const auto before = guidance.advantages.value;
  const auto slopes = here.same_slope(some_slope());
  apply(control_variate(here.rollout, slopes, here.knobs), slopes, {1, 1, 1},
        here.rollout, guidance);
  EXPECT_EQ(guidance.slope.states, (std::vector<int64_t>{0, 2}));
  const auto change = guidance.advantages.value - before;
  EXPECT_GT(change.slice(0, 0, kRows).abs().min().item<float>(), 0);
  EXPECT_EQ(change.slice(0, kRows, 2 * kRows).abs().max().item<float>(), 0);
}

/** Epochs of A = 2 h + noise at step 0, and of A = -h at step 1. */
FitSums epoch_of(uint64_t index, double slope) {
  FitSums out;
  const auto h = normal(index, {500}).to(at::kDouble);
  const auto a = slope * h + normal(index + 1, {500}).to(at::kDouble);
  const auto sum = [](const torch::Tensor& of) {
    return of.sum().item<double>();
  };
  out.aa = {sum(a * a), sum(h * h), 0};
  out.ah = {sum(a * h), -sum(h * h), 0};
  out.hh = {sum(h * h), sum(h * h), 0};
  return out;
}

TEST(RunningFit, ConvergesToCovarianceOverVarianceAndFollowsIt) {
  RunningFit fit(0.9);
  EXPECT_EQ(fit.coefficients(3), (std::vector<double>{0, 0, 0}));
  for (uint64_t epoch = 0; epoch < 30; ++epoch) {
    fit.add(epoch_of(100 + 2 * epoch, 2));
  }
  // A standard error of 1 / sqrt(10 * 500), ten epochs counting.
  EXPECT_NEAR(fit.coefficients(3)[0], 2, 0.06);
  EXPECT_NEAR(fit.coefficients(3)[1], -1, 1e-12);
  EXPECT_EQ(fit.coefficients(3)[2], 0);
  for (uint64_t epoch = 0; epoch < 60; ++epoch) {
    fit.add(epoch_of(300 + 2 * epoch, 0.5));
  }
  EXPECT_NEAR(fit.coefficients(3)[0], 0.5, 0.06);
}

TEST(RunningFit, GoesOnFromItsState) {
  RunningFit whole(0.5), other(0.5);
  other.load_state(whole.state());  // of nothing
  whole.add(epoch_of(1, 1));
  other.load_state(whole.state());
  whole.add(epoch_of(3, 2));
  other.add(epoch_of(3, 2));
  EXPECT_EQ(whole.coefficients(3), other.coefficients(3));
  expect_parts(error_of([&] {
                 other.load_state(at::zeros({3, 2}));
               }),
               {"[surrogate]", "saved fit"});
}

}  // namespace
}  // namespace rsm
