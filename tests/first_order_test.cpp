// Methods that follow a reward's gradient, on the shipped models.

#include <gtest/gtest.h>

#include <filesystem>

#include "gradient_run_testing.h"
#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"
#include "rsm/runs/run_origin.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

RunOptions colour_run(const std::string& folder, const Method& method,
                      Family family, std::vector<std::string> overrides = {}) {
  return gradient_run(folder, family, cat("{name: ", method.name, "}"),
                      overrides);
}

/** What brings a method's strength to this reward and model: the scale of a
 * loss that the reward itself stands in is its own, but for its pull. */
std::vector<std::string> strength_for(const Method& method) {
  if (method.estimator.is_of_pictures()) return {};
  std::vector<std::string> out = {"method.estimator.gradient.norm_clip=0"};
  const bool of_scores =
      method.regularisation.kl_form == RegularisationKnobs::KlForm::score;
  if (!method.estimator.gradient.of_sum) {
    out.push_back(cat("method.strength.scale=", of_scores ? 300000 : 10000));
  } else if (method.regularisation.beta > 0) {
    out.push_back(
        cat("method.regularisation.beta=", method.regularisation.beta / 10));
  }
  if (method.estimator.gradient.value.kind == ValueKnobs::Kind::small) {
    out.emplace_back("method.estimator.gradient.value.channels=[8, 8, 16]");
  }
  return out;
}

class FirstOrderOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(FirstOrderOn);

/** Six updates by four pictures each raise the reward of others. */
void expect_every_entry_gains(Family family, const std::string& lr,
                              const std::vector<std::string>& device) {
  const TemporaryFolder folder;
  int64_t tried = 0;
  for (const auto& method : catalogue()) {
    if (!method.estimator.needs_gradients() || !method.is_for(family)) continue;
    SCOPED_TRACE(method.name);
    auto overrides = device;
    for (const auto& own : strength_for(method)) overrides.push_back(own);
    overrides.insert(
        overrides.end(),
        {"prompts={per_epoch: 2, samples_per_prompt: 2}", "train.lr=" + lr});
    const auto options =
        colour_run(folder / method.name, method, family, overrides);
    const auto log = run_to_end(options);
    expect_as_forecast(log[1], options);
    const double before = log.front().at("eval_reward");
    const double after = log.back().at("eval_reward");
    EXPECT_GT(after, before + 0.02);
    ++tried;
  }
  EXPECT_GT(tried, 10);
}

TEST_P(FirstOrderOn, EveryEntryForFlowsRaisesItsReward) {
  expect_every_entry_gains(Family::flow, "0.001", on_device());
}

TEST_P(FirstOrderOn, EveryEntryForDiffusionRaisesItsReward) {
  expect_every_entry_gains(Family::diffusion, "0.002", on_device());
}

/** A run that replays an epoch, by rewards, and bounds norms as it goes. */
RunOptions replaying_run(const std::string& folder,
                         std::vector<std::string> overrides) {
  const std::string gradient = "method.estimator.gradient.";
  overrides.insert(overrides.end(),
                   {"train.epochs=6", "checkpoint.every=2",
                    gradient + "replay=1", gradient + "replay_draw=reward",
                    gradient + "norm_quantile=0.8", gradient + "jitter=0.02"});
  return colour_run(folder, find_method("sqdf"), Family::diffusion, overrides);
}

/** Also past the newest checkpoint, whose replayed epochs are still there. */
TEST_P(FirstOrderOn, ResumesInTheSameBytes) {
  const TemporaryFolder folder;
  const auto whole = replaying_run(folder / "whole", on_device());
  run_to_end(whole);
  const auto parts = replaying_run(folder / "parts", on_device());
  {
    NoProgress silent;
    Finetune killed(parts, silent);
    for (int64_t epoch = 0; epoch < 5; ++epoch) killed.run_epoch();
  }
  run_to_end(parts);
  expect_same_weights(whole.folder, parts.folder, repeats_its_bits());
  EXPECT_FALSE(is_there(whole.folder + "/replay/epoch-0.safetensors"));
}

TEST_P(FirstOrderOn, GoesOnFromAnotherRunThatReplays) {
  const TemporaryFolder folder;
  const auto whole = replaying_run(folder / "whole", on_device());
  run_to_end(whole);
  const auto begun = replaying_run(folder / "begun", on_device());
  begin_from(begun, whole.folder, 4);
  run_to_end(begun);
  expect_same_weights(whole.folder, begun.folder, repeats_its_bits());
  std::filesystem::remove(whole.folder + "/replay/epoch-3.safetensors");
  const auto late = replaying_run(folder / "late", on_device());
  expect_parts(error_of([&] { begin_from(late, whole.folder, 4); }),
               {"epoch-3.safetensors", "missing", "--from-epoch"});
  begin_from(late, whole.folder, 6);
}

/** first_gap tells of an update that sees another prompt than its y_old. */
TEST(FirstOrderRuns, DropPromptsOfPolicyAndReferenceAlike) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, const std::string& share) {
    auto overrides = strength_for(find_method("adjoint-matching"));
    overrides.push_back("method.estimator.gradient.prompt_dropout=" + share);
    overrides.emplace_back("train.epochs=2");
    const auto log =
        run_to_end(colour_run(folder / name, find_method("adjoint-matching"),
                              Family::flow, overrides));
    EXPECT_EQ(log[1].at("kl").get<double>(), 0);
    for (size_t epoch = 1; epoch < log.size(); ++epoch) {
      EXPECT_EQ(log[epoch].at("first_gap").get<double>(), 0);
    }
    return latest_checkpoint(folder / name)->tensors;
  };
  const auto kept = run("kept", "0"), dropped = run("dropped", "0.5");
  bool differ = false;
  for (const auto& [name, tensor] : kept) {
    differ |= !tensor.equal(dropped.at(name));
  }
  EXPECT_TRUE(differ);
}

TEST(FirstOrderRuns, PredictPicturesByAConsistencyModel) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name,
                       std::vector<std::string> overrides) {
    overrides.emplace_back("train.epochs=1");
    overrides.emplace_back("train.weights=lora");
    return run_to_end(colour_run(folder / name, find_method("sqdf"),
                                 Family::diffusion, overrides));
  };
  const auto plain = run("plain", {"train.lr=0.1"});
  const std::string through = "method.estimator.gradient.through=predictor",
                    key = "method.estimator.gradient.predictor";
  const auto log =
      run("through", {through, cat(key, "=", folder / "plain/final")});
  EXPECT_GT(log[1].at("gradient_norm").get<double>(), 0);
  EXPECT_NE(log[1].at("gradient_norm"), plain[1].at("gradient_norm"));
  expect_parts(error_of([&] { run("none", {through}); }), {key, "missing"});
  expect_parts(error_of([&] {
                 run("wrong", {through, key + "=nowhere"});
               }),
               {key, "nowhere"});
}

TEST(FirstOrderRuns, RefuseABlackBoxWithTheWayOut) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] {
                 colour_run(folder / "run", find_method("refl"), Family::flow,
                            {"reward=jpeg-compressibility"});
               }),
               {"reward", "jpeg-compressibility", "black box", "zeroth order"});
}

}  // namespace
}  // namespace rsm
