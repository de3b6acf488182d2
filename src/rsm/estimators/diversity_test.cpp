#include "rsm/estimators/diversity.h"

#include <gtest/gtest.h>

#include "rsm/base/random.h"
#include "rsm/estimators/testing.h"
#include "rsm/estimators/zeroth_order.h"

namespace rsm {
namespace {

/** One row a picture, in these groups. */
Rollout pictures_of(const std::vector<int64_t>& group) {
  Rollout out;
  out.prompts.resize(1);
  out.transitions.resize(1);
  for (int64_t i = 0; i < std::ssize(group); ++i) {
    out.state_root.push_back(i);
    out.state_prompt.push_back(0);
    out.state_step.push_back(0);
    out.row_state.push_back(i);
    out.row_image.push_back(i);
    out.image_prompt.push_back(0);
  }
  return out;
}

Advantages advantages_of(const std::vector<float>& value,
                         const std::vector<int64_t>& group) {
  Advantages out;
  out.value = torch::tensor(value);
  out.alive = torch::ones({std::ssize(group)}, torch::kBool);
  out.differs = out.value != 0;
  out.trained = out.alive;
  out.group = group;
  return out;
}

std::vector<float> counted(const std::vector<float>& features,
                           const std::vector<float>& value,
                           const std::vector<int64_t>& group,
                           double clip = 100) {
  auto advantages = advantages_of(value, group);
  count_diversity(pictures_of(group), torch::tensor(features).view({-1, 1}),
                  clip, advantages);
  return values(advantages);
}

TEST(Diversity, ScalesGoodOnesByTheirNearestSibling) {
  // On a line 1, 1 and 2 from the nearest, 4/3 in the mean.
  EXPECT_EQ(counted({0, 1, 3}, {1, -1, 2}, {0, 0, 0}),
            (std::vector<float>{0.75, -1, 3}));
  EXPECT_EQ(counted({0, 1, 3}, {1, -1, 2}, {0, 0, 0}, /*clip=*/2.5),
            (std::vector<float>{0.75, -1, 2.5}));
  // Scale counts for nothing.
  EXPECT_EQ(counted({0, 10, 30}, {1, -1, 2}, {0, 0, 0}),
            (std::vector<float>{0.75, -1, 3}));
}

TEST(Diversity, ComparesWithinGroups) {
  // 2 and 2 apart in one group, 8 and 8 in the other: alike in both.
  EXPECT_EQ(counted({0, 1, 2, 9}, {1, 2, 3, 4}, {0, 1, 0, 1}),
            (std::vector<float>{1, 2, 3, 4}));
}

TEST(Diversity, LeavesThoseWithoutSiblingsOrDifferences) {
  EXPECT_EQ(counted({0, 5, 5}, {1, 2, 3}, {0, 1, 1}),
            (std::vector<float>{1, 2, 3}));
}

TEST(Diversity, TakesWhatIsASiblingsCopyOut) {
  auto advantages = advantages_of({1, 1, 1}, {0, 0, 0});
  count_diversity(pictures_of({0, 0, 0}),
                  torch::tensor({0.f, 0.f, 3.f}).view({-1, 1}), 5, advantages);
  EXPECT_EQ(values(advantages), (std::vector<float>{0, 0, 3}));
  EXPECT_FALSE(advantages.differs[0].item<bool>());
  EXPECT_TRUE(advantages.differs[2].item<bool>());
}

/** All rows of a path, by its one picture in latents of C x H x W. */
TEST(Diversity, OfPathsIsThatOfTheirPicture) {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::rollout;
  method.estimator.grouping = EstimatorKnobs::Grouping::batch;
  method.estimator.spread = EstimatorKnobs::Spread::none;
  Sampled sampled;
  sampled.rollout = small_rollout(/*branches=*/false);
  sampled.rollout.latents =
      torch::tensor({0.f, 1.f, 3.f, 7.f}).view({-1, 1, 1, 1}) *
      torch::ones({1, 2, 3, 3});
  sampled.scores = scores({0, 0, 1, 3});  // A -1, -1, 0, 2
  const auto plain = ZerothOrder(method, 1).guide(sampled, 0);
  EXPECT_EQ(values(plain.advantages),
            (std::vector<float>{-1, -1, -1, -1, 0, 0, 2, 2}));
  method.estimator.diversity = EstimatorKnobs::Diversity::latents;
  // 1, 1, 2 and 4 from the nearest, 2 in the mean.
  EXPECT_EQ(values(ZerothOrder(method, 1).guide(sampled, 0).advantages),
            (std::vector<float>{-1, -1, -1, -1, 0, 0, 4, 4}));
  method.estimator.diversity = EstimatorKnobs::Diversity::pixels;
  sampled.scores.features =
      torch::tensor({0.f, 4.f, 6.f, 7.f}).view({-1, 1});  // 4, 2, 1, 1
  EXPECT_EQ(values(ZerothOrder(method, 1).guide(sampled, 0).advantages),
            (std::vector<float>{-1, -1, -1, -1, 0, 0, 1, 1}));
}

TEST(PixelFeatures, AreMeansOverAtMost32PartsOfASide) {
  const auto small = counted_normal(1, {2, 3, 8, 32});
  EXPECT_TRUE(pixel_features(small).equal(small.flatten(1)));
  const auto large = counted_normal(2, {2, 3, 64, 96});
  const auto parts =
      large.unflatten(3, {32, 3}).mean(4).unflatten(2, {32, 2}).mean(3);
  EXPECT_TRUE(
      at::allclose(pixel_features(large), parts.flatten(1), 1e-5, 1e-6));
}

}  // namespace
}  // namespace rsm
