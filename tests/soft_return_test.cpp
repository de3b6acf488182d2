// Runs with soft returns: what they cost, and that they go on as they were.

#include <gtest/gtest.h>

#include "red_judge.h"
#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/run_log.h"
#include "rsm/io/testing.h"
#include "rsm/runs/forecast.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

class SoftReturnOn : public OnDevice {
 protected:
  RunOptions options_of(const std::string& folder,
                        std::vector<std::string> overrides) const {
    return quick_run(folder, on_device(overrides));
  }
  /** Methods whose states lie on paths, trees and ways of the ODE. */
  static std::vector<std::vector<std::string>> methods() {
    const std::string pull = "method.regularisation.beta=0.04";
    return {{"method={name: tempflow-grpo, estimator: {branches: [2, 2, 0, 0], "
             "return: soft}}",
             pull},
            {"method={name: tempflow-grpo, estimator: {branches: [2, 0, 0, 0], "
             "return: soft}}",
             "sampling.continuation_steps=2", pull},
            {"method={name: flow-grpo, estimator: {return: soft}}",
             "prompts.samples_per_prompt=3"},
            {"method={name: flow-grpo, estimator: {return: soft, window: "
             "{size: 1, start: 1, continuation: 0.5}}}",
             "prompts.samples_per_prompt=3", "sampling.steps=6"},
            {"method={name: branch-grpo, estimator: {return: soft, tree: "
             "{split_steps: [0, 1]}}}",
             pull}};
  }
};
RSM_ON_EVERY_DEVICE(SoftReturnOn);

TEST_P(SoftReturnOn, DoWhatWasForecast) {
  const TemporaryFolder folder;
  int64_t number = 0;
  for (auto overrides : methods()) {
    SCOPED_TRACE(overrides.front());
    overrides.push_back("train.epochs=1");
    const auto options = options_of(folder / cat("run", number++), overrides);
    const auto f = forecast(options);
    EXPECT_TRUE(f.cost_evaluations > 0 || f.kept_references > 0);
    const auto line = run_to_end(options)[1];
    const auto& evaluations = line.at("evaluations");
    EXPECT_EQ(evaluations.at("rollout"), f.evaluations.rollout);
    EXPECT_EQ(evaluations.at("reference"), f.evaluations.reference);
    EXPECT_EQ(line.at("evals").get<int64_t>() -
                  evaluations.at("update").get<int64_t>(),
              f.evaluations.sum() - f.evaluations.update);
    EXPECT_TRUE(line.at("later_cost").is_number());
    EXPECT_EQ(line.at("by_step").at("later_cost").size(),
              line.at("by_step").at("step").size());
  }
}

TEST_P(SoftReturnOn, OfPathsAsksTheReferenceNoOftener) {
  const TemporaryFolder folder;
  const auto reference_of = [&](const std::string& returns) {
    return forecast(
               options_of(folder / returns,
                          {"method={name: flow-grpo, estimator: {return: " +
                               returns + "}}",
                           "prompts.samples_per_prompt=3"}))
        .evaluations.reference;
  };
  EXPECT_EQ(reference_of("soft"), reference_of("hard"));
}

TEST_P(SoftReturnOn, BeginAsHardOnesAndThenPay) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& returns, int64_t epochs) {
    return run_to_end(options_of(
        folder / cat(returns, epochs),
        {"method={name: flow-grpo, estimator: {return: " + returns + "}}",
         "prompts.samples_per_prompt=3", "train.weights=full",
         "compute.rollout_type=float32", cat("train.epochs=", epochs)}));
  };
  // In the first epoch the policy is the reference.
  EXPECT_EQ(run("soft", 1)[1].at("later_cost"), 0);
  run("hard", 1);
  expect_same_weights(folder / "hard1", folder / "soft1", repeats_its_bits());
  EXPECT_GT(run("soft", 2)[2].at("later_cost").get<double>(), 0);
}

TEST_P(SoftReturnOn, ResumeInTheSameBytes) {
  const TemporaryFolder folder;
  int64_t number = 0;
  for (auto overrides : methods()) {
    SCOPED_TRACE(overrides.front());
    overrides.push_back("train.epochs=3");
    expect_resumes(options_of(folder / cat("whole", number), overrides),
                   options_of(folder / cat("parts", number), overrides),
                   repeats_its_bits());
    ++number;
  }
}

TEST_P(SoftReturnOn, KeepTheirCostsWithPicturesThatWait) {
  const TemporaryFolder folder;
  const RedJudge judge(folder);
  const auto options = [&](const std::string& name) {
    return judged_run(
        folder, name,
        on_device({"method={name: flow-grpo, estimator: {return: soft}}",
                   "prompts.samples_per_prompt=3", "prompts.per_epoch=2",
                   "train.epochs=3", "evaluation.every=10",
                   "checkpoint.every=1"}));
  };
  run_to_end(options("whole"));
  {
    NoProgress silent;
    Finetune run(options("mended"), silent);
    run.run_epoch();
    run.run_epoch();
  }
  judge.set_mood("dies");
  expect_parts(error_of([&] { run_to_end(options("mended")); }), {"3"});
  judge.set_mood("");
  run_to_end(options("mended"));
  expect_same_weights(folder / "whole", folder / "mended", repeats_its_bits());
  const auto evaluations = [&](const char* name) {
    return read_log(folder / cat(name, "/log.jsonl")).back().at("evals");
  };
  EXPECT_EQ(evaluations("mended"), evaluations("whole"));
}

}  // namespace
}  // namespace rsm
