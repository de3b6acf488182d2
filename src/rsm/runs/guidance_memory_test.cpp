#include <gtest/gtest.h>

#include "rsm/io/testing.h"
#include "rsm/judges/testing.h"
#include "rsm/runs/memory_forecast.h"

namespace rsm {
namespace {

MemoryForecast counted(const std::string& method,
                       std::vector<std::string> overrides = {}) {
  overrides.insert(overrides.begin(),
                   {"method.name=" + method, "rewards=[{name: colourfulness}]",
                    "prompts.samples_per_prompt=2", "compute.threads=1"});
  const auto options = read_run_options(Config::parse(
      "name: a\nmodel: models/shapes-flow\n", "test.yaml", overrides));
  return MemoryCount(options).of(options);
}

/** In bytes; 0 where there is no such part. */
double station(const MemoryForecast& forecast, const std::string& name) {
  for (const auto& one : forecast.stations) {
    if (one.name == name) return one.bytes;
  }
  return 0;
}

double guidance(const std::string& method,
                const std::vector<std::string>& overrides = {}) {
  return station(counted(method, overrides), "guidance");
}

const std::string kGradient = "method.estimator.gradient.";

TEST(GuidanceMemory, IsThatOfMethodsThatTakeGradients) {
  EXPECT_EQ(guidance("flow-grpo"), 0);
  const double sample = guidance("rsm-first-flow");
  EXPECT_GT(sample, 0);
  // Through the network, and in fewer rows of it.
  const std::string adjoint = "adjoint-matching";
  EXPECT_GT(guidance(adjoint), sample);
  EXPECT_LT(guidance(adjoint, {"compute.train_tile=2"}), guidance(adjoint));
  EXPECT_LT(guidance(adjoint, {kGradient + "through=linear"}),
            guidance(adjoint));
}

TEST(GuidanceMemory, CountsWhatAValueNetworkHoldsAndLearns) {
  EXPECT_EQ(station(counted("vgg-flow-pruned"), "the value network"), 0);
  const auto of = [](const std::string& kind) {
    return counted("vgg-flow", {kGradient + "value.kind=" + kind});
  };
  const auto small = of("small"), copy = of("copy"), lora = of("lora");
  for (const auto* forecast : {&small, &copy, &lora}) {
    EXPECT_GT(station(*forecast, "the value network"), 0);
  }
  // All its weights' gradients and moments, or those of a few.
  EXPECT_GT(station(copy, "the value network"),
            station(lora, "the value network"));
  EXPECT_GT(station(copy, "the update"), station(lora, "the update"));
}

TEST(GuidanceMemory, CountsReplayedPathsInHostMemory) {
  const auto of = [](int64_t epochs, const std::string& device) {
    return guidance("rsm-first-flow", {cat(kGradient, "replay=", epochs),
                                       "compute.device=" + device});
  };
  const double none = of(1, "cpu"), some = of(2, "cpu"), more = of(4, "cpu");
  EXPECT_GT(some, none);
  EXPECT_NEAR(more - some, 2 * (some - none), 1);
  EXPECT_EQ(of(1, "cuda"), of(4, "cuda"));
}

TEST(GuidanceMemory, CountsANetworkThatJudgesWhereItDoes) {
  const TemporaryFolder folder;
  write_small_clip(folder.path());
  const auto judged = [&](const std::string& reward,
                          const std::string& device) {
    return guidance("rsm-first-flow", {cat("rewards=[{name: ", reward, "}]"),
                                       "compute.device=" + device});
  };
  const std::string clip = cat("'aesthetic:", folder.path(), "'");
  EXPECT_GT(judged(clip, "cpu"), judged("colourfulness", "cpu"));
  const auto on = [&](const std::string& device) {
    return judged(cat(clip, ", device: ", device), "cuda");
  };
  EXPECT_GT(on("cuda"), on("cpu"));
  EXPECT_EQ(judged(clip, "cuda"), on("cuda"));
  EXPECT_EQ(judged("colourfulness", "cuda"), on("cpu"));
  EXPECT_GT(judged(cat("'clip-score:", folder.path(), "'"), "cpu"),
            judged(clip, "cpu"));
}

}  // namespace
}  // namespace rsm
