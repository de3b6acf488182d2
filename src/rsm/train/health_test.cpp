#include "rsm/train/health.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** An epoch of four groups, so many of them dead, with pictures of a size. */
EpochData epoch(int64_t dead, double picture_size) {
  EpochData data;
  data.advantages.spread = std::vector<double>(4, 1);
  data.advantages.dead_groups = dead;
  data.scores.value = at::full({4}, 0.5);
  data.rollout.latents = at::full({4, 3, 2, 2}, picture_size);
  return data;
}

/** One state whose KL and size of outputs are as said. */
EpochData drifted(double kl, double output_ratio) {
  EpochData data;
  data.rollout.state_step = {0};
  data.rollout.transitions.resize(2);
  data.trained = data.kl_states = {0};
  data.kl = {kl};
  data.output_ratio = output_ratio;
  data.y_old = at::zeros({1, 3, 2, 2});
  return data;
}

TEST(Health, WarnsOfDriftWithTheWayBack) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [kl, ratio] : std::vector<std::pair<double, double>>{
           {10, 1}, {0.1, 2.5}, {0.1, 0.3}, {kNan, 1}, {0.1, kNan}}) {
    auto data = drifted(kl, ratio);
    EXPECT_TRUE(warn_of_drift(data, "runs/wild")) << kl << " " << ratio;
    ASSERT_EQ(data.warnings.size(), 1u);
    expect_parts(data.warnings[0],
                 {"far from where it began", "--from runs/wild", "train.lr"});
  }
  auto healthy = drifted(0.5, 1.5);
  EXPECT_FALSE(warn_of_drift(healthy, "runs/wild"));
  EXPECT_TRUE(healthy.warnings.empty());
}

TEST(Health, DeadGroupsBlameTheRewardOnlyWhereTheModelIsWhole) {
  auto data = epoch(4, 0.5);
  expect_parts(error_of([&] { name_dead_groups(data, "mine", 0.1, "runs/a"); }),
               {"[reward mine]", "graded reward", "0.5"});
  for (const auto& [size, kl] : std::vector<std::pair<double, double>>{
           {40, 0.1}, {0.5, 10}, {0.5, NAN}, {INFINITY, 0.1}}) {
    data = epoch(4, size);
    const auto error =
        error_of([&] { name_dead_groups(data, "mine", kl, "runs/a"); });
    expect_parts(error, {"[finetune]", "broken", "--from runs/a"});
    EXPECT_EQ(error.find("graded"), std::string::npos);
  }
}

TEST(Health, HalfTheGroupsDeadIsAWarning) {
  auto data = epoch(2, 0.5);
  name_dead_groups(data, "mine", 0, "runs/a");
  EXPECT_EQ(data.warnings.size(), 1u);
  data = epoch(1, 0.5);
  name_dead_groups(data, "mine", 0, "runs/a");
  EXPECT_TRUE(data.warnings.empty());
}

TEST(Health, PicturesThatAreNotFiniteGoToNoJudge) {
  auto latents = at::zeros({3, 3, 2, 2});
  check_finite(latents, "runs/a");
  latents[1][0][0][0] = NAN;
  expect_parts(error_of([&] { check_finite(latents, "runs/a"); }),
               {"1 of 3 pictures", "not finite", "--from runs/a"});
}

TEST(Health, NamesTheLikelyReasonOfAGradientThatIsNotFinite) {
  auto data = drifted(0.1, 1);
  expect_parts(why_not_finite(data), {"single overflow"});
  data = drifted(7, 1);
  expect_parts(why_not_finite(data), {"KL 7", "train.lr"});
  data.y_old[0][0][0][0] = INFINITY;
  expect_parts(why_not_finite(data), {"weights are broken"});
}

}  // namespace
}  // namespace rsm
