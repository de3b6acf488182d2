#include "rsm/train/health.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** An epoch of four groups, so many of them dead, with pictures of a size:
 * what is said of it. */
std::string said_of(int64_t dead, double picture_size,
                    const EpochBefore& before, int64_t passed_over = 1) {
  Sampled sampled;
  sampled.scores.value = at::full({4}, 0.5);
  sampled.rollout.latents = at::full({4, 3, 2, 2}, picture_size);
  Advantages advantages;
  advantages.deviation = std::vector<double>(4, 1);
  advantages.dead_groups = dead;
  RunOptions options;
  options.folder = "runs/a";
  options.dead_epochs = passed_over;
  return dead_groups_warning(sampled, advantages, "mine", before, options);
}

TEST(Health, WarnsOfDriftWithTheWayBack) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  for (const auto& [kl, ratio] : std::vector<std::pair<double, double>>{
           {10, 1}, {0.1, 2.5}, {0.1, 0.3}, {kNan, 1}, {0.1, kNan}}) {
    expect_parts(drift_warning(kl, ratio, "runs/wild"),
                 {"far from where it began", "--from runs/wild", "train.lr"});
  }
  EXPECT_EQ(drift_warning(0.5, 1.5, "runs/wild"), "");
}

TEST(Health, DeadGroupsBlameTheRewardOnlyWhereTheModelIsWhole) {
  expect_parts(error_of([&] { said_of(4, 0.5, {.kl = 0.1}); }),
               {"[reward mine]", "graded reward", "0.5"});
  for (const auto& [size, kl] : std::vector<std::pair<double, double>>{
           {40, 0.1}, {0.5, 10}, {0.5, NAN}, {INFINITY, 0.1}}) {
    for (const bool is_trained : {false, true}) {
      const auto error = error_of([&, s = size, k = kl] {
        said_of(4, s, {is_trained, k});
      });
      expect_parts(error, {"[finetune]", "broken", "--from runs/a"});
      EXPECT_EQ(error.find("graded"), std::string::npos);
    }
  }
}

TEST(Health, HalfTheGroupsDeadIsAWarning) {
  expect_parts(said_of(2, 0.5, {}), {"2 of 4 groups"});
  EXPECT_EQ(said_of(1, 0.5, {}), "");
}

TEST(Health, EpochsOfDeadGroupsArePassedOverAfterOneThatHadSpread) {
  const auto before = [](const char* line) {
    return epoch_before(nlohmann::json::parse(line));
  };
  const auto live = before(R"({"kl":0.1,"groups":8,"dead_groups":7})");
  EXPECT_EQ(live.kl, 0.1);
  expect_parts(said_of(4, 0.5, live), {"all 4 groups", "0.5", "1 in a row"});
  const char* first = R"({"epoch":0})";
  const char* dead = R"({"kl":0.1,"groups":8,"dead_groups":8})";
  const char* second =
      R"({"kl":0.1,"groups":8,"dead_groups":8,"dead_epochs":2.0})";
  for (const auto& [line, passed_over] :
       std::vector<std::pair<const char*, int64_t>>{
           {first, 9}, {dead, 1}, {second, 2}}) {
    expect_parts(error_of([&, l = line, n = passed_over] {
                   said_of(4, 0.5, before(l), n);
                 }),
                 {"[reward mine]", "graded reward"});
  }
  expect_parts(said_of(4, 0.5, before(second), 3), {"3 in a row of the 3"});
  EXPECT_TRUE(
      std::isnan(before(R"({"kl":null,"groups":8,"dead_groups":0})").kl));
}

TEST(Health, PicturesThatAreNotFiniteGoToNoJudge) {
  auto latents = at::zeros({3, 3, 2, 2});
  check_finite(latents, "runs/a");
  latents[1][0][0][0] = NAN;
  expect_parts(error_of([&] { check_finite(latents, "runs/a"); }),
               {"1 of 3 pictures", "not finite", "--from runs/a"});
}

TEST(Health, NamesTheLikelyReasonOfAGradientThatIsNotFinite) {
  auto y_old = at::zeros({1, 3, 2, 2});
  expect_parts(why_not_finite(y_old, 0.1, 1), {"single overflow"});
  expect_parts(why_not_finite(y_old, 7, 1), {"KL 7", "train.lr"});
  y_old[0][0][0][0] = INFINITY;
  expect_parts(why_not_finite(y_old, 7, 1), {"weights are broken"});
}

}  // namespace
}  // namespace rsm
