// What published losses become where their knobs are turned: by autograd, as
// in regression_test.cpp.

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "rsm/base/error.h"
#include "rsm/estimators/picture_problem_testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/check_method.h"
#include "rsm/rollouts/gaussian_testing.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;
using Grouping = EstimatorKnobs::Grouping;
using Spread = EstimatorKnobs::Spread;
using Weight = PictureKnobs::Weight;

void expect_published(const Method& method, const PictureProblem& problem,
                      const PublishedLoss& loss) {
  check_method(method, /*steps=*/10);
  expect_gradient(method, problem, loss);
}

Method nft_with(double b, double advantage_clip) {
  auto method = find_method("diffusion-nft");
  method.estimator.pictures.sharpness = b;
  method.regularisation.advantage_clip = advantage_clip;
  method.regularisation.beta = 0;
  return method;
}

/** Without its adaptive divisor and on the network's own outputs, DiffusionNFT
 * is A |v - v_c|^2 + (5 b - A) |v - v_old|^2 with A clipped, whose second
 * factor may be negative: the published branches' 5 / b is `scale` 5 whatever
 * b. */
TEST(RegressionLimits, NftIsAPullToTheSampleAndOneToTheOldPolicy) {
  const PictureProblem problem;
  for (const double b : {1.0, 0.1}) {
    for (const double clip : {5.0, 1.0}) {
      SCOPED_TRACE(cat("b ", b, ", clip ", clip));
      auto method = nft_with(b, clip);
      // The release's rho is (A / clip + 1) / 2.
      method.estimator.pictures.advantage_scale = 1 / clip;
      method.estimator.pictures.distance = PictureKnobs::Distance::square;
      method.strength = {.shape = StrengthKnobs::Shape::flat, .scale = clip};
      const auto a = problem.by_all().clamp(-clip, clip);
      ASSERT_EQ((a.abs() == clip).any().item<bool>(), clip == 1);
      ASSERT_TRUE(b == 1 || (clip * b - a < 0).any().item<bool>());
      expect_published(
          method, problem, [&](const PictureProblem&, const torch::Tensor& v) {
            return a * error(problem, v) +
                   (clip * b - a) * mean_of((v - problem.y_old).square());
          });
    }
  }
}

/** With the divisor of each branch and any b, on both families: 5 / b times the
 * branches' picture errors. */
TEST(RegressionLimits, NftsBranchesWeighTheInverseOfTheirLength) {
  for (const auto& path : both_paths()) {
    const PictureProblem p(*path);
    for (const double b : {0.1, 0.5, 2.0}) {
      SCOPED_TRACE(cat(name_of(*path), ", b ", b));
      const auto good = (p.by_all().clamp(-5, 5) / 10 + 0.5).clamp(0, 1);
      const auto branch = [&](const torch::Tensor& v) {
        const auto apart = p.reach.view({-1, 1, 1, 1}) * (v - p.y_c);
        const auto w = mean_of(apart.abs()).clamp_min(1e-5).detach();
        return mean_of(apart.square()) / w;
      };
      expect_published(nft_with(b, 5), p,
                       [&](const PictureProblem&, const torch::Tensor& v) {
                         const auto moved = b * (v - p.y_old);
                         return 5 / b *
                                (good * branch(p.y_old + moved) +
                                 (1 - good) * branch(p.y_old - moved));
                       });
    }
  }
}

torch::Tensor standardised(const torch::Tensor& values) {
  return (values - values.mean()) / (values.std(/*unbiased=*/false) + 1e-8);
}

TEST(RegressionLimits, RwrMayDivideByTheBatchsMean) {
  const PictureProblem problem;
  auto method = find_method("rwr");
  method.estimator.grouping = Grouping::batch;
  method.estimator.pictures.temperature = 0.5;
  const auto w = (standardised(problem.reward) / 0.5).exp();
  expect_published(method, problem,
                   [&](const PictureProblem&, const torch::Tensor& v) {
                     return w / w.mean() * error(problem, v);
                   });
}

/** Those of the batch at or above a quantile of rewards; its prompts' own best
 * are others. */
TEST(RegressionLimits, RwrMayLearnTheBatchsBest) {
  const PictureProblem problem;
  auto method = find_method("sft");
  method.estimator.grouping = Grouping::batch;
  method.estimator.pictures.top = 0.375;
  const auto chosen = torch::tensor({0, 0, 1, 0, 1, 0, 1, 0}, torch::kFloat64)
                          .repeat_interleave(PictureProblem::kDraws);
  ASSERT_TRUE(chosen.equal((problem.reward > 0.69).to(torch::kFloat64)));
  const PublishedLoss loss = [&](const PictureProblem&,
                                 const torch::Tensor& v) {
    return chosen * error(problem, v);
  };
  expect_published(method, problem, loss);
  method.estimator.grouping = Grouping::prompt;
  auto y = problem.y.clone().requires_grad_();
  const auto other = torch::autograd::grad({loss(problem, y).mean()}, {y})[0];
  EXPECT_GT((our_gradient(method, problem) - other).norm().item<double>(),
            0.1 * other.norm().item<double>());
}

/** Rewards themselves, negative ones too (arXiv 2302.12192). */
TEST(RegressionLimits, RwrMayWeighByTheRewardItself) {
  const PictureProblem problem;
  auto method = find_method("rwr");
  method.estimator.baseline = Baseline::none;
  method.estimator.spread = Spread::none;
  method.estimator.pictures.weight = Weight::advantage;
  ASSERT_LT(problem.reward.min().item<double>(), 0);
  expect_published(method, problem,
                   [&](const PictureProblem&, const torch::Tensor& v) {
                     return problem.reward * error(problem, v);
                   });
}

}  // namespace
}  // namespace rsm
