// Methods that train on their own samples, noised again, on the shipped models.

#include <gtest/gtest.h>

#include <cmath>

#include "gradient_run_testing.h"
#include "rsm/base/error.h"
#include "rsm/base/state_dict.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/forecast.h"
#include "rsm/runs/watched_states.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

RunOptions colour_run(const std::string& folder, const std::string& method,
                      const std::vector<std::string>& more) {
  std::vector<std::string> overrides = {"prompts.samples_per_prompt=6",
                                        "train.lr=0.0005"};
  overrides.insert(overrides.end(), more.begin(), more.end());
  return gradient_run(folder, Family::flow, cat("{name: ", method, "}"),
                      overrides);
}

class PicturesOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(PicturesOn);

/** Norm of the difference of a checkpoint's tensors that begin with a and with
 * b. */
double apart(const Checkpoint& checkpoint, const std::string& a,
             const std::string& b) {
  const auto other = with_prefix(checkpoint.tensors, b);
  double sum = 0;
  for (const auto& [name, value] : with_prefix(checkpoint.tensors, a)) {
    sum += (value - other.at(name)).square().sum().item<double>();
  }
  return std::sqrt(sum);
}

/** The slower copy samples, weighs and holds; it, the average that is evaluated
 * and what is trained lie in checkpoints, each for itself. The samples' own
 * noise is counted. */
TEST_P(PicturesOn, ResumeInTheSameBytesWithTheSlowerCopyAndSaSolver) {
  struct Case {
    std::string weights;
    int64_t epochs, every, killed_after;
  };
  for (const Case& c : {Case{"full", 4, 2, 3}, Case{"lora", 2, 1, 1}}) {
    SCOPED_TRACE(c.weights);
    const TemporaryFolder folder;
    const auto run = [&](const std::string& name, int64_t epochs) {
      const auto options = colour_run(
          folder / name, "crd",
          on_device({cat("train.epochs=", c.epochs),
                     cat("checkpoint.every=", c.every), "sampling.solver=sa",
                     "train.ema_decay=0.9", "train.weights=" + c.weights}));
      NoProgress silent;
      if (epochs > 0) {
        Finetune killed(options, silent);
        for (int64_t epoch = 0; epoch < epochs; ++epoch) killed.run_epoch();
      }
      run_to_end(options);
    };
    run("whole", 0);
    run("parts", c.killed_after);
    expect_same_weights(folder / "whole", folder / "parts", repeats_its_bits());
    const auto last = latest_checkpoint(folder / "whole");
    ASSERT_TRUE(last);
    EXPECT_GT(apart(*last, "trained.", "average."), 1e-4);
    EXPECT_GT(apart(*last, "trained.", "old."), 1e-4);
    EXPECT_GT(apart(*last, "average.", "old."), 1e-4);
  }
}

TEST_P(PicturesOn, ThreadsChangeNothing) {
  if (!device().is_cpu()) GTEST_SKIP() << "a GPU takes one call at a time";
  const TemporaryFolder folder;
  for (const std::string threads : {"1", "2"}) {
    run_to_end(colour_run(
        folder / threads, "rsm-pictures",
        {"train.epochs=2", "prompts.per_epoch=8", "sampling.solver=multistep",
         "compute.threads=" + threads}));
  }
  expect_same_weights(folder / "1", folder / "2", repeats_its_bits());
}

/** With more states than are watched. An update that is an epoch's only one
 * takes its own outputs for y_old, another asks for them before: a method that
 * compares a group's outputs, though sigmoid(0) = 1/2 for each of them. */
TEST_P(PicturesOn, AnOnlyUpdateMeetsItsOwnOldOutputs) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name,
                       std::vector<std::string> overrides) {
    overrides.insert(overrides.end(), {"train.epochs=2", "prompts.per_epoch=12",
                                       "method.regularisation.beta=0.001",
                                       "method.estimator.pictures.draws=4",
                                       "method.estimator.pictures.old.cap=0",
                                       "method.estimator.pictures.clip=0"});
    return run_to_end(colour_run(folder / name, "dgpo", on_device(overrides)));
  };
  const auto asked = run("asked", {"method.estimator.pictures.sharpness=1e-30",
                                   "method.strength.scale=2"});
  const auto met = run("met", {"method.estimator.pictures.coefficient=plain"});
  EXPECT_EQ(asked.back().at("evaluations").at("old"), 288);
  EXPECT_EQ(met.back().at("evaluations").at("old"), kWatchedStates);
  expect_same_weights(folder / "asked", folder / "met", repeats_its_bits());
}

/** Samples drawn with text guidance are trained on without: the same pictures,
 * another gradient (Policy.OnlyTheRolloutIsGuidedAsSamplesAre). */
TEST_P(PicturesOn, AreTrainedOnWithAnotherGuidanceThanTheyAreDrawnWith) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& guidance) {
    return run_to_end(
               colour_run(folder / guidance, "awm",
                          on_device({"train.epochs=1", "prompts.per_epoch=2",
                                     "sampling.guidance_scale=3",
                                     "train.guidance_scale=" + guidance})))
        .back();
  };
  const auto without = run("1"), with = run("3");
  EXPECT_EQ(without.at("by_step").at("rows").size(), 6u);  // draws
  EXPECT_NEAR(without.at("reward").get<double>(),
              with.at("reward").get<double>(), 1e-4);
  const double norm = without.at("grad_norm").get<double>();
  EXPECT_GT(norm, 0);
  EXPECT_GT(std::abs(with.at("grad_norm").get<double>() / norm - 1), 0.05);
}

/** The reference is asked under guidance of its own where it pulls, and as
 * training is guided where drift is watched, which the pull's guidance does not
 * change. */
TEST_P(PicturesOn, AreHeldByTheReferenceUnderGuidanceOfItsOwn) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& guidance) {
    const auto options = colour_run(
        folder / ("run" + guidance), "crd",
        on_device({"train.epochs=1", "prompts.per_epoch=12",
                   "method.estimator.pictures.draws=4",
                   "method.regularisation.reference_guidance=" + guidance}));
    const auto line = run_to_end(options).back();
    EXPECT_EQ(line.at("evaluations").at("reference"),
              forecast(options).evaluations.reference);
    return line;
  };
  const auto guided = run("4.5"), as_trained = run("0");
  EXPECT_EQ(guided.at("evaluations").at("reference"), 288 + kWatchedStates);
  EXPECT_EQ(as_trained.at("evaluations").at("reference"), 288);
  // Nothing is trained yet.
  EXPECT_LT(guided.at("kl").get<double>(), 1e-8);
  EXPECT_LT(as_trained.at("kl_loss").get<double>(), 1e-8);
  EXPECT_GT(guided.at("kl_loss").get<double>(), 1e-6);
}

/** What they cost is counted beforehand: outputs before the updates, of the
 * reference, and an update's pass each; no picture. The run goes on in the same
 * bytes. */
TEST_P(PicturesOn, OfBranchesCostNoPictureAndResume) {
  const TemporaryFolder folder;
  const auto options = [&](const std::string& name, const std::string& rows) {
    return gradient_run(
        folder / name, Family::flow, "{name: rsm-flow}",
        on_device(
            {"sampling.steps=10", "prompts.per_epoch=2", "train.epochs=2",
             "train.updates_per_epoch=2", "checkpoint.every=1",
             "prompts.samples_per_prompt=1",
             "method.estimator.forward.rows=" + rows,
             rows == "0" ? "seed=42" : "method.estimator.forward.beta=0.001"}));
  };
  const auto plain = options("plain", "0"), both = options("both", "2");
  const auto before = run_to_end(plain).back(), after = run_to_end(both).back();
  const auto f = forecast(both);
  EXPECT_TRUE(f.update_is_exact);
  EXPECT_EQ(f.states - forecast(plain).states, 2 * f.images);
  const auto& counted = after.at("evaluations");
  EXPECT_EQ(counted.at("rollout"), before.at("evaluations").at("rollout"));
  EXPECT_EQ(counted.at("rollout"), f.evaluations.rollout);
  EXPECT_EQ(counted.at("old"), f.evaluations.old);
  EXPECT_EQ(counted.at("reference"), f.evaluations.reference);
  EXPECT_EQ(counted.at("update"), f.evaluations.update);
  EXPECT_EQ(after.at("rows"), 3 * before.at("rows").get<int64_t>());
  // Of the sampler's steps, as without.
  EXPECT_EQ(after.at("by_step").at("t"), before.at("by_step").at("t"));
  NoProgress silent;
  const auto parts = options("parts", "2");
  {
    Finetune killed(parts, silent);
    killed.run_epoch();
  }
  run_to_end(parts);
  expect_same_weights(folder / "both", folder / "parts", repeats_its_bits());
}

TEST(PicturesRuns, WhatIsOfPicturesAloneIsRefusedElsewhere) {
  const TemporaryFolder folder;
  const auto error = error_of([&] {
    colour_run(folder / "run", "flow-grpo",
               {"sampling.solver=multistep", "train.guidance_scale=3"});
  });
  expect_parts(error,
               {"sampling.solver", "train.guidance_scale", "source: pictures"});
}

TEST(PicturesRuns, DerivativesRefuseABlackBox) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] {
                 colour_run(folder / "run", "draft-lv",
                            {"reward=jpeg-compressibility"});
               }),
               {"jpeg-compressibility", "black box"});
}

}  // namespace
}  // namespace rsm
