#include "rsm/runs/rank_forecast.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rsm/io/testing.h"
#include "rsm/runs/testing.h"

namespace rsm {
namespace {

constexpr RankSizes kSizes = {.trained_numbers = 1000, .latent_numbers = 12};

RunOptions six_prompts(const std::string& method) {
  return options_of({"method.name=" + method, "reward=shapes-soft",
                     "prompts.per_epoch=6", "prompts.samples_per_prompt=4",
                     "sampling.steps=4", "compute.train_tile=4"});
}

/** Of two updates of 24 states. */
Forecast small_epoch() {
  Forecast out;
  out.states = 48;
  out.rows = 36;
  out.images = 24;
  out.updates = 2;
  out.largest_update = 24;
  out.evaluations.old = 10;
  out.evaluations.reference = 20;
  return out;
}

TEST(RankForecast, CountsWhatRanksShareAndReceive) {
  const auto f = rank_forecast(six_prompts("flow-grpo"), small_epoch(), kSizes,
                               4, std::nullopt);
  EXPECT_EQ(f.prompts, 6);
  EXPECT_EQ(f.most_prompts, 2);
  EXPECT_EQ(f.tiles, 6);
  EXPECT_EQ(f.most_tiles, 2);
  EXPECT_EQ(f.rounds, 1);
  // Three of four parts come from others: x and y, rows and pictures.
  EXPECT_EQ(f.rollout_bytes, 0.75 * 4 * 12 * (2 * 48 + 36 + 24));
  EXPECT_EQ(f.guidance_bytes, 0);
  EXPECT_EQ(f.outputs_bytes, 0.75 * 4 * 12 * (10 + 20));
  // A sum on its way, and what it comes to.
  EXPECT_EQ(f.gradient_bytes, 2 * (1 + 1) * 4 * 1000);
  EXPECT_FALSE(f.seconds || f.efficiency);
  const auto json = to_json(f);
  EXPECT_DOUBLE_EQ(json.at("prompts_idle").get<double>(), 1 - 6.0 / 8);
  double bytes = 0;
  for (const auto& [name, count] : json.at("bytes_received").items()) {
    bytes += count.get<double>();
    EXPECT_DOUBLE_EQ(json.at("seconds_received").at(name).get<double>(),
                     count.get<double>() / kLinkBytes);
  }
  EXPECT_DOUBLE_EQ(bytes, f.bytes());
  expect_parts(to_text(f), {"6 over 4 ranks, at most 2", "25 %", "rollout",
                            "guidance", "outputs", "gradients", "1 round"});
}

TEST(RankForecast, IsAsLongAsTheBusiestRank) {
  EpochCost cost;
  cost.rollout_seconds = 60;
  cost.reward_seconds = 12;
  cost.old_seconds = 6;
  cost.update_seconds = 12;
  const auto options = six_prompts("flow-grpo");
  const auto four = rank_forecast(options, small_epoch(), kSizes, 4, cost);
  // Of six prompts and of six calls two are a third.
  EXPECT_DOUBLE_EQ(*four.seconds, 90.0 / 3 + four.bytes() / kLinkBytes);
  EXPECT_DOUBLE_EQ(*four.efficiency, 90 / (4 * *four.seconds));
  const auto alone = rank_forecast(options, small_epoch(), kSizes, 1, cost);
  EXPECT_EQ(alone.bytes(), 0);
  EXPECT_DOUBLE_EQ(*alone.efficiency, 1);
}

TEST(RankForecast, CountsTheGradientsThatRanksGather) {
  // Half of them, and as many rewards, come from the other one.
  const auto guidance_of = [](const std::string& method) {
    const auto options = six_prompts(method);
    return rank_forecast(options, forecast(options), kSizes, 2, std::nullopt)
        .guidance_bytes;
  };
  constexpr double kSamples = 6 * 4, kStates = 6 * 4 * 4;
  EXPECT_EQ(guidance_of("rsm-first-flow"), 0.5 * 4 * kSamples * (12 + 1));
  EXPECT_EQ(guidance_of("vgg-flow-pruned"), 0.5 * 4 * kStates * (12 + 1));
  // Its value network asks the policy three times, the reference once.
  EXPECT_EQ(guidance_of("vgg-flow"), 0.5 * 4 * kStates * ((12 + 1) + 4 * 12));
}

}  // namespace
}  // namespace rsm
