#include "rsm/rollouts/pictures.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "rsm/paths/adams_solver.h"
#include "rsm/paths/forward.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

RolloutPlan pictures(const Path& path, int64_t steps, int64_t draws) {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::pictures;
  knobs.pictures.draws = draws;
  return plan_of(path, knobs, steps);
}

torch::Tensor column(const std::vector<double>& values) {
  return torch::tensor(values, at::kFloat).view({-1, 1, 1, 1});
}

TEST(Pictures, AreSamplesOfTheOdeNoisedAgain) {
  for (const auto& path : both_paths()) {
    const auto plan = pictures(*path, 7, 3);
    EXPECT_EQ(plan.states_per_root(), 3);
    EXPECT_EQ(plan.evaluations_per_root(), 7);
    const auto request = request_for(2, 2);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    EXPECT_EQ(rollout.states(), 12);
    EXPECT_EQ(rollout.rows(), 12);
    EXPECT_EQ(rollout.y.size(0), 0);
    EXPECT_EQ(rollout.evaluations, 4 * 7);
    std::vector<double> signal, noise;
    std::vector<int64_t> image;
    for (int64_t s = 0; s < rollout.states(); ++s) {
      signal.push_back(path->signal(rollout.transition_of(s).t));
      noise.push_back(path->noise(rollout.transition_of(s).t));
      image.push_back(rollout.row_image[s]);
      EXPECT_EQ(rollout.row_image[s], s / 3);
    }
    const auto picture =
        rollout.latents.index_select(0, torch::tensor(image, at::kLong));
    const auto eps = (rollout.x - column(signal) * picture) / column(noise);
    EXPECT_NEAR(eps.mean().item<double>(), 0, 0.25);
    EXPECT_NEAR(eps.std().item<double>(), 1, 0.2);
    EXPECT_TRUE(
        at::allclose(rollout.x_next, path->target(picture, eps), 1e-3, 1e-4));
  }
}

TEST(Pictures, DoNotDependOnTheirParts) {
  for (const auto& path : both_paths()) {
    for (const auto solver : {Solver::euler, Solver::multistep, Solver::sa}) {
      auto plan = pictures(*path, 4, 2);
      plan.solver = solver;
      const auto request = request_for(3, 2);
      expect_equal(roll_out_in_parts(path, plan, request),
                   roll_out_with_gaussian(path, plan, request));
    }
  }
}

TEST(Pictures, OfAPromptShareTimesAndNoiseWhereTheyAreTo) {
  const auto path = flow_path();
  auto plan = pictures(*path, 4, 2);
  for (const bool shared : {false, true}) {
    plan.estimator.pictures.shared = shared;
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(2, 2));
    const auto eps_of = [&](int64_t s) {
      return rollout.x_next[s] + rollout.latents[rollout.row_image[s]];
    };
    const auto t_of = [&](int64_t s) { return rollout.transition_of(s).t; };
    EXPECT_EQ(t_of(0) == t_of(2), shared);
    EXPECT_EQ(at::allclose(eps_of(0), eps_of(2), 1e-4, 1e-5), shared);
    EXPECT_NE(t_of(0), t_of(1));  // two draws
    EXPECT_NE(t_of(0), t_of(4));  // two prompts
  }
}

/** Times with i eighths of the draws below them, of which four strata have two
 * each. */
std::map<PictureKnobs::Times, std::vector<double>> eighths(
    const std::vector<double>& grid) {
  using Times = PictureKnobs::Times;
  // Of normal numbers.
  const std::vector<double> z = {
      -1.1503493803760083, -0.6744897501960817, -0.3186393639643752, 0,
      0.3186393639643752,  0.6744897501960817,  1.1503493803760083};
  std::map<Times, std::vector<double>> out;
  for (int i = 0; i <= 8; ++i) {
    out[Times::uniform].push_back(i / 8.0);
    out[Times::power].push_back(std::sqrt(i / 8.0));  // p(t) = 2 t
    out[Times::logit_normal].push_back(
        i == 0 || i == 8 ? i / 8 : 1 / (1 + std::exp(-z[i - 1])));
    out[Times::grid].push_back(grid[8 - i]);
  }
  return out;
}

/** Of four draws, noisiest first, each takes a quarter of what the density of
 * times has, and the whole of it. */
TEST(Pictures, OfStratifiedDrawsTakeOneOfEachShare) {
  constexpr int64_t kDraws = 4, kPictures = 200;
  const auto path = flow_path();
  for (const auto& of_times : eighths(path->times(8))) {
    const auto times = of_times.first;
    const auto& bound = of_times.second;
    SCOPED_TRACE(static_cast<int>(times));
    auto plan = pictures(*path, 8, kDraws);
    plan.estimator.pictures.times = times;
    ASSERT_TRUE(plan.estimator.pictures.stratified);
    const auto request = request_for(2, kPictures / 2);
    const auto is_in_share = [&](int64_t draw, double t) {
      return t > bound[6 - 2 * draw] && t <= bound[8 - 2 * draw];
    };
    const auto own = own_rows(*path, plan, request);
    ASSERT_EQ(own.size(), size_t{kPictures * kDraws});
    std::vector<int64_t> noisier(kDraws, 0);
    for (int64_t s = 0; s < kPictures * kDraws; ++s) {
      const int64_t draw = s % kDraws;
      EXPECT_TRUE(is_in_share(draw, own[s].t)) << own[s].t << " of " << draw;
      if (own[s].t > bound[7 - 2 * draw]) ++noisier[draw];
    }
    // Half of 200, four deviations.
    for (const int64_t count : noisier) EXPECT_NEAR(count, 100, 28);
    plan.estimator.pictures.stratified = false;
    const auto alone = own_rows(*path, plan, request);
    int64_t inside = 0;
    for (int64_t s = 0; s < kPictures * kDraws; ++s) {
      if (is_in_share(s % kDraws, alone[s].t)) ++inside;
    }
    // A quarter of 800, the same.
    EXPECT_NEAR(inside, 200, 49);
  }
}

/** DiffusionNFT: nine of ten steps, another left out by each sample; a draw
 * more than there are steps begins anew. */
TEST(Pictures, OfDistinctDrawsLeaveOutStepsAtRandom) {
  const auto path = flow_path();
  auto plan = pictures(*path, 10, 9);
  auto& knobs = plan.estimator.pictures;
  knobs.times = PictureKnobs::Times::grid;
  knobs.stratified = false;
  knobs.distinct = true;
  const auto grid = path->times(10);
  const auto request = request_for(4, 50);
  std::map<double, int64_t> left_out;
  const auto own = own_rows(*path, plan, request);
  ASSERT_EQ(own.size(), 200u * 9);
  for (size_t picture = 0; picture < 200; ++picture) {
    std::set<double> missing(grid.begin(), grid.begin() + 10);
    for (size_t draw = 0; draw < 9; ++draw) {
      const auto& row = own[9 * picture + draw];
      EXPECT_EQ(missing.erase(row.t), 1u);
      EXPECT_TRUE(draw == 0 || row.t < own[9 * picture + draw - 1].t);
    }
    ++left_out[*missing.begin()];
  }
  ASSERT_EQ(left_out.size(), 10u);
  for (const auto& [t, count] : left_out) {
    EXPECT_NEAR(count, 20, 4 * std::sqrt(20 * 0.9)) << t;
  }
  knobs.draws = 13;
  const auto more = own_rows(*path, plan, request);
  for (size_t picture = 0; picture < 200; ++picture) {
    std::map<double, int64_t> taken;
    for (size_t draw = 0; draw < 13; ++draw) {
      ++taken[more[13 * picture + draw].t];
    }
    EXPECT_EQ(taken.size(), 10u);
    for (const auto& [t, count] : taken) EXPECT_LE(count, 2) << t;
  }
}

/** Branches are as they are without, and every picture is noised at times of
 * its own, twice, behind what else there is of its root. */
TEST(Pictures, OfBranchesAreNoisedBesideThem) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    EstimatorKnobs knobs;
    knobs.branches = {3, 0, 2, 0, 0};
    const auto plain = plan_of(*path, knobs, 6);
    knobs.forward.pictures.draws = 2;
    const auto plan = plan_of(*path, knobs, 6);
    const auto request = request_for(2, 2);
    const auto without = roll_out_with_gaussian(path, plain, request);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    EXPECT_EQ(rollout.evaluations, without.evaluations);
    EXPECT_TRUE(rollout.latents.equal(without.latents));
    EXPECT_EQ(rollout.states(), 4 * plan.states_per_root());
    EXPECT_EQ(rollout.rows(), 4 * plan.rows_per_root());
    EXPECT_EQ(rollout.rows(), 3 * without.rows());
    std::vector<int64_t> states, rows;
    std::set<double> times;
    for (int64_t r = 0; r < rollout.rows(); ++r) {
      const int64_t s = rollout.row_state[r];
      if (!rollout.is_forward(s)) {
        rows.push_back(r);
        if (states.empty() || states.back() != s) states.push_back(s);
        continue;
      }
      const auto& row = rollout.transition_of(s);
      times.insert(row.t);
      const auto picture = rollout.latents[rollout.row_image[r]];
      const auto eps =
          (rollout.x[s] - path->signal(row.t) * picture) / path->noise(row.t);
      EXPECT_LT(eps.abs().max().item<double>(), 6);  // of 18 normal numbers
      EXPECT_TRUE(at::allclose(rollout.x_next[r], path->target(picture, eps),
                               1e-3, 1e-4));
      EXPECT_EQ(rollout.image_prompt[rollout.row_image[r]],
                rollout.state_prompt[s]);
    }
    const auto of = [](const std::vector<int64_t>& which) {
      return torch::tensor(which, at::kLong);
    };
    EXPECT_TRUE(rollout.x.index_select(0, of(states)).equal(without.x));
    EXPECT_TRUE(rollout.y.index_select(0, of(states)).equal(without.y));
    EXPECT_TRUE(rollout.x_next.index_select(0, of(rows)).equal(without.x_next));
    // Nearly all differ: diffusion's are a thousand.
    EXPECT_GT(times.size(), 30u);
    EXPECT_EQ(without_forward_rows(rollout).row_image, without.row_image);
    EXPECT_EQ(without_forward_rows(rollout).state_step, without.state_step);
    expect_equal(roll_out_in_parts(path, plan, request), rollout);
  }
}

/** Root mean square distance of samples from the exact ones. */
double sampling_error(const PathPointer& path, int64_t steps, Solver solver) {
  auto plan = pictures(*path, steps, 1);
  plan.solver = solver;
  const auto request = request_for(2, 3);
  const auto rollout = roll_out_with_gaussian(path, plan, request);
  const double first = path->times(steps)[0];
  double sum = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const auto start =
        initial_noise(request.run_seed, Purpose::initial_noise, request.epoch,
                      request.prompts[i / 3], i % 3, kShape)[0];
    const double mean = request.conditions.pooled[i / 3][0].item<double>();
    sum += (rollout.latents[i] - exact_picture(*path, start, first, mean))
               .square()
               .mean()
               .item<double>();
  }
  return std::sqrt(sum / 6);
}

TEST(Pictures, OfTheMultistepSolverConvergeTwiceAsFast) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    // Twice the steps: half the error of Euler's, a quarter of the other's.
    const auto falls = [&](Solver solver) {
      return sampling_error(path, 20, solver) /
             sampling_error(path, 40, solver);
    };
    EXPECT_NEAR(falls(Solver::euler), 2, 0.3);
    EXPECT_GT(falls(Solver::multistep), 3);
    EXPECT_LT(sampling_error(path, 20, Solver::multistep),
              0.3 * sampling_error(path, 20, Solver::euler));
  }
}

TEST(Pictures, OfSaSolverAreOfTheExactMeanAndSpread) {
  constexpr int64_t kMembers = 200;
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = pictures(*path, 40, 1);
    plan.solver = Solver::sa;
    plan.adams = usual_adams(path->family());
    const auto rollout =
        roll_out_with_gaussian(path, plan, request_for(2, kMembers));
    EXPECT_EQ(rollout.evaluations, 2 * kMembers * 40);
    EXPECT_EQ(plan.evaluations_per_root(), 40);
    for (int64_t p = 0; p < 2; ++p) {
      const auto latents =
          rollout.latents.slice(0, p * kMembers, (p + 1) * kMembers);
      // 3600 numbers of spread 0.5: four standard errors; and 0.012, how far
      // 40 steps are off.
      EXPECT_NEAR(latents.mean().item<double>(),
                  0.1 * static_cast<double>(p) * path->signal(0), 0.034);
      EXPECT_NEAR(latents.std().item<double>(), kStd, 0.012 + 0.024);
    }
  }
}

TEST(Pictures, OfSaSolverDrawCountedNoiseWithinTheIntervalAlone) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = pictures(*path, 6, 1);
    plan.solver = Solver::sa;
    const auto latents_of = [&](const StochasticAdams& adams, uint64_t seed) {
      plan.adams = adams;
      auto request = request_for(1, 2);
      request.run_seed = seed;
      return roll_out_with_gaussian(path, plan, request).latents;
    };
    const StochasticAdams noisy = {.tau = 1, .from = 0.3, .to = 0.7};
    EXPECT_TRUE(latents_of(noisy, 7).equal(latents_of(noisy, 7)));
    EXPECT_FALSE(latents_of(noisy, 7).allclose(latents_of(noisy, 8)));
    const auto silent = latents_of({.tau = 0}, 7);
    EXPECT_FALSE(latents_of(noisy, 7).allclose(silent));
    EXPECT_TRUE(
        latents_of({.tau = 1, .from = 0.01, .to = 0.02}, 7).equal(silent));

    // Step by step, with the noise that is documented.
    AdamsSolver solver(*path, plan.times(*path), noisy);
    const auto request = request_for(1, 2);
    GaussianDenoiser denoiser(path);
    auto x = initial_noise(request.run_seed, Purpose::initial_noise,
                           request.epoch, request.prompts[0], 1, kShape);
    for (int64_t i = 0; i < 6; ++i) {
      const auto t = at::full({1}, plan.times(*path)[i], at::kFloat);
      const auto y = denoiser.predict(
          x, t, ConditionRows(request.conditions, at::zeros({1}, at::kLong)));
      x = solver.step(x, y,
                      counted_step_noise(request, 0, 1, i, 0).unsqueeze(0));
    }
    EXPECT_TRUE(latents_of(noisy, 7)[1].allclose(x[0]));
  }
}

TEST(Pictures, OfGridTimesAreAtTheSolversOwnSteps) {
  for (const auto& path : both_paths()) {
    auto plan = pictures(*path, 8, 8);
    plan.estimator.pictures.times = PictureKnobs::Times::grid;
    for (const auto solver : {Solver::euler, Solver::sa}) {
      plan.solver = solver;
      const auto times = plan.times(*path);
      EXPECT_EQ(times.front(), path->times(8).front());
      EXPECT_EQ(times == path->times(8), solver == Solver::euler);
      const auto rollout =
          roll_out_with_gaussian(path, plan, request_for(1, 1));
      for (int64_t s = 0; s < 8; ++s) {
        EXPECT_EQ(rollout.transitions[s].t, times[s]);
        EXPECT_EQ(rollout.transition_of(s).t, times[s]);
        EXPECT_EQ(rollout.transition_of(s).t_next, times[s + 1]);
      }
    }
  }
}

}  // namespace
}  // namespace rsm
