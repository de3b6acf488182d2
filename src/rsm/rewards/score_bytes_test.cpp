#include "rsm/rewards/score_bytes.h"

#include <gtest/gtest.h>

#include <cmath>

namespace rsm {
namespace {

TEST(ScoreBytes, KeepEveryBit) {
  RewardScores scores;
  scores.value = torch::tensor({0.1F, -0.0F, 1e-42F, NAN});
  scores.metrics["legible"] = torch::tensor({1.0, 2.0 / 3, 0.0, -1.0});
  scores.parts = {{"a", 0.3, scores.value}, {"b", 1, scores.value + 1}};
  scores.mended = {{"asked again", 2}};
  scores.features = at::rand({4, 3});
  const auto back = unpacked_scores(from_bytes(to_bytes(packed(scores))));
  EXPECT_TRUE(
      at::equal(back.value.view(at::kInt), scores.value.view(at::kInt)));
  EXPECT_TRUE(
      at::equal(back.metrics.at("legible"), scores.metrics.at("legible")));
  EXPECT_EQ(back.metrics.at("legible").scalar_type(),
            scores.metrics.at("legible").scalar_type());
  ASSERT_EQ(back.parts.size(), 2U);
  EXPECT_EQ(back.parts[0].name, "a");
  EXPECT_EQ(back.parts[0].weight, 0.3);
  EXPECT_TRUE(at::equal(back.parts[1].value.slice(0, 0, 3),
                        scores.parts[1].value.slice(0, 0, 3)));
  EXPECT_EQ(back.mended, scores.mended);
  EXPECT_TRUE(at::equal(back.features, scores.features));
}

TEST(ScoreBytes, KnowWhatIsNotThere) {
  RewardScores none;
  none.value = at::empty({0}, at::kFloat);
  const auto back = unpacked_scores(from_bytes(to_bytes(packed(none))));
  EXPECT_EQ(back.value.size(0), 0);
  EXPECT_FALSE(back.features.defined());
  EXPECT_TRUE(back.metrics.empty() && back.parts.empty());
}

}  // namespace
}  // namespace rsm
