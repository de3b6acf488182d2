#include "rsm/judges/all_rewards.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

TEST(AllRewards, AreMadeByName) {
  auto names = reward_names();
  for (const auto& name : network_reward_names()) {
    names.push_back(name + ":somewhere");
    if (name != "torchscript" && name != "onnx") names.push_back(name);
  }
  for (const auto& name : names) {
    const auto reward = make_any_reward(spec_of(name), kNeverStops);
    EXPECT_EQ(reward->name(), name);
    EXPECT_EQ(make_any_rewards({spec_of(name)}, kNeverStops)->name(), name);
  }
}

TEST(AllRewards, UnknownNamesAreToldAllKnownOnes) {
  expect_parts(
      error_of([] { make_any_reward(spec_of("asthetic"), kNeverStops); }),
      {"unknown \"asthetic\"", "shapes", "hps-v2.1", "torchscript",
       "did you mean \"aesthetic\""});
  // Without networks there are none of these.
  expect_parts(error_of([] { make_reward("aesthetic", kNeverStops); }),
               {"unknown \"aesthetic\""});
}

}  // namespace
}  // namespace rsm
