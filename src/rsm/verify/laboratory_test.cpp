#include "rsm/verify/laboratory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numbers>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/methods/catalogue.h"
#include "rsm/models/guided_network.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/rollouts/plan.h"
#include "rsm/verify/exact_denoiser.h"
#include "rsm/verify/world_network.h"

namespace rsm::verify {
namespace {

std::shared_ptr<const Path> even_flow() {
  return std::make_shared<FlowPath>(FlowMatchSchedule{.shift = 1});
}

std::vector<std::shared_ptr<const Path>> both() {
  return {even_flow(), std::make_shared<DdimPath>()};
}

Judge judge_of(const std::string& name, std::shared_ptr<const Path> path,
               double alpha = 1, int64_t points = 4096) {
  for (auto& problem : problems(alpha)) {
    if (problem.name == name) {
      return Judge(problem, std::move(path), points, 1);
    }
  }
  throw Error("no problem " + name);
}

/** A perfect network's samples are as near as the tilt's own: of several seeds,
 * since one noise draws all problems of a seed and its luck is theirs. */
TEST(Judge, PutsAPerfectNetworkAtTheFloor) {
  const auto path = even_flow();
  constexpr uint64_t kSeeds = 5;
  std::map<std::string, double> far, floor;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    for (auto& problem : problems(1)) {
      const Judge judge(problem, path, 4096, seed);
      far[problem.name] += judge.exact().distance / kSeeds;
      floor[problem.name] += judge.floor() / kSeeds;
      EXPECT_TRUE(judge.is_at_floor(judge.exact())) << problem.name;
      EXPECT_NEAR(judge.exact().objective, 1, 0.15) << problem.name;
      // A grid of eighths.
      EXPECT_NEAR(judge.exact().strength, 1, 0.13) << problem.name;
    }
  }
  for (const auto& [name, distance] : far) {
    // A floor is the mean of 20 draws; of 5 it is known to a sixth.
    EXPECT_LT(distance, 1.3 * floor.at(name)) << name;
  }
}

/** Untrained it is as far as the tilt goes: of N(0, 1) 1 / alpha. */
TEST(Judge, PutsTheReferenceAtTheTiltsDistance) {
  const auto judge = judge_of("gauss-linear", even_flow(), 2);
  EXPECT_NEAR(judge.reference().distance, 0.5, 3 * judge.floor_high());
  EXPECT_NEAR(judge.gap(judge.reference()), 1, 1e-9);
  EXPECT_FALSE(judge.is_at_floor(judge.reference()));
  EXPECT_EQ(judge.reference().strength, 0);
  EXPECT_NEAR(judge.reference().objective, 0, 0.2);
}

/** Samples of a stronger tilt are told by their strength. */
TEST(Judge, NamesTheStrengthThatSamplesHave) {
  const auto judge = judge_of("modes-step", even_flow());
  const auto& problem = judge.problem();
  const auto fit = judge.fit_of_points(
      problem.reference.tilted(problem.reward, 2).sample(4096, 77));
  EXPECT_NEAR(fit.strength, 2, 0.26);
  EXPECT_LT(fit.objective, 1);
}

TEST(WorldNetwork, BeginsAsAPerfectNetworkOfTheReference) {
  for (const auto& path : both()) {
    for (const auto& problem : problems(1)) {
      const int64_t points = problem.reference.dimensions();
      const auto network = new_world_network(path, problem.reference, 1);
      GuidedNetwork model(network, Condition(), 1, {.tile = 16});
      ExactDenoiser perfect(path, problem.reference);
      const auto x = counted_normal(3, {20, points, 1, 1});
      auto t = torch::linspace(0.1, 0.99, 20);
      for (int64_t i = 0; i < 20; ++i) {
        t[i] = path->nearest_time(t[i].item<double>());
      }
      const auto conditions = no_condition(20);
      const auto y = model.predict(x, t, conditions);
      EXPECT_TRUE(y.allclose(perfect.predict(x, t, conditions), 1e-4, 1e-4))
          << problem.name;
    }
  }
}

/** The density's own loss is least at what a perfect network says: of points
 * noised again, E[(y - target) f(x)] = 0 whatever f. */
TEST(ExactDenoiser, SaysTheMeanOfThePathsTargets) {
  constexpr int64_t kCount = 100000;
  for (const auto& path : both()) {
    for (const auto& problem : problems(1)) {
      const auto density = problem.answer();
      const int64_t points = density.dimensions();
      const auto point = density.sample(kCount, 5).view({kCount, points, 1, 1});
      const auto noise = counted_normal(6, point.sizes()).to(torch::kFloat64);
      const double t = path->nearest_time(0.6);
      const auto x = path->signal(t) * point + path->noise(t) * noise;
      ExactDenoiser perfect(path, density);
      const auto conditions = no_condition(1);
      const auto off =
          perfect.predict(x.to(torch::kFloat), torch::full({kCount}, t),
                          {conditions, torch::zeros({kCount}, torch::kLong)}) -
          path->target(point, noise);
      for (const auto& f : {torch::ones_like(x), x, x.sin()}) {
        const auto product = (off * f).flatten();
        const double error = product.std().item<double>() /
                             std::sqrt(static_cast<double>(product.numel()));
        EXPECT_NEAR(product.mean().item<double>(), 0, 5 * error)
            << problem.name;
      }
    }
  }
}

TEST(AtAlpha, EveryEntryHasTheTemperatureThatIsAskedFor) {
  constexpr double kAlpha = 0.5;
  for (const auto& entry : catalogue()) {
    const auto family = entry.family.value_or(Family::flow);
    const auto path = both()[family == Family::flow ? 0 : 1];
    const auto tempered = at_alpha(for_family(entry, family), kAlpha, *path, 2);
    const auto& knobs = tempered.method.estimator;
    EXPECT_EQ(knobs.spread, EstimatorKnobs::Spread::none) << entry.name;
    if (tempered.alpha.empty()) {
      const bool by_samples =
          knobs.is_of_pictures() &&
          knobs.pictures.weight != PictureKnobs::Weight::advantage;
      EXPECT_TRUE(by_samples || knobs.has_flow()) << entry.name;
      continue;
    }
    double inverse = 0;
    for (size_t i = 0; i < tempered.alpha.size(); ++i) {
      inverse += tempered.weight[i] / tempered.alpha[i];
    }
    EXPECT_NEAR(inverse, 1 / kAlpha, 1e-9) << entry.name;
    EXPECT_GT(tempered.method.regularisation.beta, 0) << entry.name;
  }
}

/** A path's policy gradient with the exact KL has one proportion at all times;
 * so has the regression of clean pictures. */
TEST(AtAlpha, IsEvenWhereTheoryHasIt) {
  const auto path = even_flow();
  for (const char* name : {"reinforce-kl", "ram", "rvm"}) {
    const auto tempered = at_alpha(find_method(name), 0.5, *path, 2);
    for (const double at : tempered.alpha) {
      EXPECT_NEAR(at, 0.5, 1e-9) << name;
    }
  }
  // A pull that weighs by dt, a guidance that does not.
  const auto uneven = at_alpha(find_method("grpo-guard"), 0.5, *path, 2);
  const auto words = join(known_biases(uneven, Family::flow));
  EXPECT_NE(words.find("proportion"), std::string::npos) << words;
}

/** How far the loss's point of rest moves the mean of N(0, 1) for r = x, where
 * the gradient is carried back through steps of a noise level. */
double shift_at_rest(const Method& method, int64_t steps, double level) {
  const auto path = even_flow();
  const auto transitions =
      make_plan(method, steps, {.kind = SamplerNoise::usual, .level = level})
          .transitions(*path);
  // Of the reference's output in x.
  const auto slope = [&](double t) {
    const double a = path->signal(t), n = path->noise(t);
    return (n - a) / (a * a + n * n);
  };
  double gradient = 1;
  std::vector<double> moved(steps);
  for (int64_t i = steps - 1; i >= 0; --i) {
    const auto& step = transitions[i];
    gradient *= step.a_x + step.m_y * slope(step.t);
    moved[i] = row_factors(method, step, 1).guidance * gradient /
               kl_factor(method.regularisation, step);
  }
  double shift = 0;
  for (int64_t i = 0; i < steps; ++i) {
    const auto& step = transitions[i];
    shift -= step.dt() * (slope(step.t) * shift + moved[i]);
  }
  return shift;
}

/** Adjoint matching's fixed point is the tilt in continuous time and where
 * steps are so noisy that paths forget their start, s~^2 = 2 t / (1 - t)
 * (arXiv 2409.08861). What steps cost is of first order in their size. */
TEST(AtAlpha, GradientsCarriedBackRestAtTheTilt) {
  constexpr double kAlpha = 0.5;
  const auto method =
      at_alpha(find_method("adjoint-matching"), kAlpha, *even_flow(), 1).method;
  const auto share_at_rest = [&](int64_t steps, double level) {
    return kAlpha * shift_at_rest(method, steps, level);
  };
  const double coarse = share_at_rest(400, std::numbers::sqrt2);
  const double fine = share_at_rest(800, std::numbers::sqrt2);
  EXPECT_NEAR(fine, 1, 0.02);
  EXPECT_LT(std::abs(fine - 1), 0.6 * std::abs(coarse - 1));
  // Ten steps of the usual noise, as in the laboratory.
  EXPECT_LT(share_at_rest(10, usual_level(SamplerNoise::usual, Family::flow)),
            0.8);
}

/** RAM's fixed point on a normal density with r = x is the exact tilt
 * (arXiv 2605.10759): the whole engine trains to it. Both means are of the same
 * starts and steps, so that only what was learnt can differ. */
TEST(Laboratory, RamsFixedPointOnANormalDensityIsTheTilt) {
  NoProgress silent;
  const auto judge = judge_of("gauss-linear", even_flow());
  // Its own times are mostly noisy ones; the fixed point does not ask for them.
  auto ram = find_method("ram");
  ram.estimator.pictures.times = PictureKnobs::Times::uniform;
  ram.estimator.pictures.stratified = true;
  const auto tempered = at_alpha(ram, 1, *judge.path(), 1);
  const Budget budget{.epochs = 200, .pictures = 768, .lr = 5e-3};
  const auto result = result_of(tempered, judge, budget, silent);
  ASSERT_EQ(result.failure, "");
  const auto shift = [&](const Fit& fit) {
    return (fit.points.mean() - judge.reference().points.mean()).item<double>();
  };
  EXPECT_NEAR(shift(judge.exact()), 1, 0.05);
  // 200 updates of 768 samples leave about a hundredth of noise.
  EXPECT_NEAR(shift(result.fit) / shift(judge.exact()), 1, 0.03);
  EXPECT_TRUE(result.at_floor || result.gap < 0.03) << result.gap;
}

/** Methods that learn beside the policy from rewards alone raise them: by the
 * balance of a flow, and with what a scorer foretells. Of the first no nearness
 * to the tilt is claimed: until the flow has learnt how dense states are, its
 * balance holds samples to no density, and this budget ends before that. */
TEST(Laboratory, BalanceAndScorersRaiseTheReward) {
  NoProgress silent;
  const Budget budget{.epochs = 40, .pictures = 128, .points = 512};
  const auto path = even_flow();
  const auto judge = judge_of("gauss-linear", path, 1, budget.points);
  for (const char* name : {"dag-db", "dag-kl", "rsm-surrogate"}) {
    const auto method = for_family(find_method(name), path->family());
    const auto result =
        result_of(at_alpha(method, 1, *path, 1), judge, budget, silent);
    EXPECT_EQ(result.failure, "") << name;
    EXPECT_GT(result.fit.reward, judge.reference().reward + 0.2) << name;
    if (method.estimator.has_surrogate()) {
      EXPECT_LT(result.gap, 0.8) << name;
    }
  }
}

/** Gradients of predicted pictures are exact for normal data and a linear
 * reward, and so is a value that a flow carries: along an ODE too alpha is what
 * was asked for. */
TEST(Laboratory, GradientsAlongTheOdeRestAtTheTilt) {
  NoProgress silent;
  const auto judge = judge_of("gauss-linear", even_flow(), 1, 1024);
  for (const char* name : {"vgg-flow-pruned", "vgg-flow"}) {
    const auto result =
        result_of(at_alpha(find_method(name), 1, *judge.path(), 1), judge,
                  {.epochs = 120, .points = 1024}, silent);
    EXPECT_EQ(result.failure, "") << name;
    EXPECT_NEAR(result.fit.strength, 1, 0.3) << name;
    EXPECT_TRUE(result.at_floor || result.gap < 0.2) << name << result.gap;
  }
}

/** DAG's balance names no reference: where e^r is a density, that is where it
 * rests, and not at the tilt of what it began with. */
TEST(Laboratory, BalanceWithoutAReferenceRestsAtTheRewardAlone) {
  NoProgress silent;
  const Problem problem{
      .name = "a normal reward",
      .reference = Density({1}, {{0}}, {1}),
      .reward = {PointReward::Kind::quadratic, {2}, /*number=*/1},
      .alpha = 1};
  const Judge judge(problem, std::make_shared<DdimPath>(), 1024, 1);
  const auto result =
      result_of(at_alpha(find_method("dag-db"), 1, *judge.path(), 1), judge,
                {.epochs = 100, .points = 1024}, silent);
  ASSERT_EQ(result.failure, "");
  const auto& points = result.fit.points;
  EXPECT_NEAR(points.mean().item<double>(), 2, 0.3);  // the tilt's: 1
  EXPECT_NEAR(points.var().item<double>(), 1, 0.3);   // the tilt's: 0.5
}

/** Of a reward of 0 and 1 most siblings of one state have the same: groups
 * without spread leave the mean of the guidance and stay in the pull's, which
 * makes the rest act the stronger, unless they are counted. */
TEST(Laboratory, GroupsWithoutSpreadMakeTheOthersActStronger) {
  NoProgress silent;
  const auto judge = judge_of("modes-step", even_flow(), 1, 1024);
  const auto strength = [&](RegularisationKnobs::Mask mask) {
    auto method = find_method("rsm-flow");
    method.regularisation.mask = mask;
    const auto result = result_of(at_alpha(method, 1, *judge.path(), 2), judge,
                                  {.epochs = 80, .points = 1024}, silent);
    EXPECT_EQ(result.failure, "");
    return result.fit.strength;
  };
  EXPECT_GT(strength(RegularisationKnobs::Mask::policy), 2);
  EXPECT_NEAR(strength(RegularisationKnobs::Mask::none), 1, 0.3);
}

/** The same numbers from the same seed, and what the engine refuses is told. */
TEST(Laboratory, RepeatsAndTellsWhatIsRefused) {
  NoProgress silent;
  const auto judge = judge_of("modes-step", even_flow(), 1, 256);
  const Budget budget{.epochs = 2, .pictures = 16};
  const auto tempered = at_alpha(find_method("ram"), 1, *judge.path(), 2);
  const auto once = result_of(tempered, judge, budget, silent);
  const auto again = result_of(tempered, judge, budget, silent);
  EXPECT_TRUE(once.fit.points.equal(again.fit.points));
  const auto blind =
      at_alpha(find_method("adjoint-matching"), 1, *judge.path(), 2);
  EXPECT_NE(result_of(blind, judge, budget, silent).failure.find("gradient"),
            std::string::npos);
}

/** Every entry runs; one epoch. */
TEST(Laboratory, EveryEntryIsTried) {
  NoProgress silent;
  std::map<Family, Judge> judges;
  for (const auto& path : both()) {
    judges.emplace(path->family(), judge_of("modes-linear", path, 1, 64));
  }
  for (const auto& entry : catalogue()) {
    const auto family = entry.family.value_or(Family::flow);
    const auto& judge = judges.at(family);
    const auto result =
        result_of(at_alpha(for_family(entry, family), 1, *judge.path(), 2),
                  judge, {.epochs = 1, .pictures = 8, .points = 64}, silent);
    EXPECT_EQ(result.failure, "") << entry.name;
  }
}

}  // namespace
}  // namespace rsm::verify
