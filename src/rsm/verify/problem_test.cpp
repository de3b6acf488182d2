#include "rsm/verify/problem.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "rsm/estimators/reward_gradient.h"

namespace rsm::verify {
namespace {

constexpr int64_t kPoints = 64;
/** A pixel's half unit in float32, 3e-8, is 2e-6 of the points' range of 64;
 * the rewards' slopes are below 4. */
constexpr double kRounding = 1e-5;

/** What estimators see is the problem's own reward and its gradient, also where
 * coordinates are not within a picture's 0 to 1. */
TEST(PointJudge, HasTheRewardAndItsGradientAtEveryPoint) {
  const auto decoder = point_decoder();
  for (const auto& problem : problems(1)) {
    const int64_t dimensions = problem.reference.dimensions();
    const auto latents = problem.reference.sample(kPoints, 1)
                             .to(torch::kFloat)
                             .view({kPoints, dimensions, 1, 1});
    const Prompts prompts(kPoints, Prompt{0, "a point", ""});
    const auto judge = point_judge(problem);
    const auto leaf =
        latents.flatten(1).to(torch::kDouble).requires_grad_(true);
    const auto value = problem.reward.at(leaf);
    EXPECT_TRUE(judge->score(decoder->decode(latents), prompts)
                    .value.to(torch::kDouble)
                    .allclose(value, 0, kRounding))
        << problem.name;
    if (!judge->is_differentiable()) continue;
    const auto known = torch::autograd::grad({value.sum()}, {leaf})[0];
    const auto found =
        reward_gradient(*judge, *decoder, latents, prompts, kPoints);
    EXPECT_TRUE(found.gradient.flatten(1)
                    .to(torch::kDouble)
                    .allclose(known, 0, kRounding))
        << problem.name;
  }
}

}  // namespace
}  // namespace rsm::verify
