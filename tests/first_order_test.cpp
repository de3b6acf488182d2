// Methods that follow a reward's gradient, on the shipped models.

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

/** Pictures are to be colourful: gradients have a norm of about 0.02. */
RunOptions colour_run(const std::string& folder, const Method& method,
                      Family family, std::vector<std::string> overrides = {}) {
  return read_run_options(Config::parse(
      cat("name: test\nfolder: ", folder, "\nmodel: models/shapes-",
          family == Family::flow ? "flow" : "diffusion",
          "\nreward: colourfulness\nmethod: {name: ", method.name, "}\n",
          R"(prompts: {per_epoch: 4, samples_per_prompt: 2}
sampling: {steps: 4, guidance_scale: 1}
train:
  epochs: 6
  weights: full
  lr: 0.001
  updates_per_epoch: 1
  ema_decay: 0
evaluation: {images: 6, steps: 4, every: 100}
checkpoint: {every: 100}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", overrides));
}

/** What brings a method's strength to this reward and model: the scale of a
 * loss that the reward itself stands in is its own. */
std::vector<std::string> strength_for(const Method& method) {
  std::vector<std::string> out = {"method.estimator.gradient.norm_clip=0"};
  const bool of_scores =
      method.regularisation.kl_form == RegularisationKnobs::KlForm::score;
  if (!method.estimator.gradient.of_sum) {
    out.push_back(cat("method.strength.scale=", of_scores ? 300000 : 10000));
  }
  if (method.estimator.gradient.value.kind == ValueKnobs::Kind::small) {
    out.emplace_back("method.estimator.gradient.value.channels=[8, 8, 16]");
  }
  return out;
}

class FirstOrderOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(FirstOrderOn);

TEST_P(FirstOrderOn, EveryEntryRaisesItsReward) {
  const TemporaryFolder folder;
  for (const auto& method : catalogue()) {
    if (method.estimator.is_first_order()) {
      const auto family = method.family.value_or(Family::flow);
      SCOPED_TRACE(cat(method.name, " on ", to_string(family)));
      auto overrides = strength_for(method);
      overrides.push_back(on_device());
      const auto log =
          run_to_end(colour_run(folder / (to_string(family) + method.name),
                                method, family, overrides));
      const double before = log.front().at("eval_reward");
      const double after = log.back().at("eval_reward");
      EXPECT_GT(after, before + 0.02);
    }
  }
}

/** Also past the newest checkpoint, whose replayed epochs are still there. */
TEST_P(FirstOrderOn, ResumesInTheSameBytes) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, int64_t epochs) {
    const auto options =
        colour_run(folder / name, find_method("sqdf"), Family::diffusion,
                   {"train.epochs=6", "checkpoint.every=2",
                    "method.estimator.gradient.replay=1", on_device()});
    NoProgress silent;
    if (epochs > 0) {
      Finetune killed(options, silent);
      for (int64_t epoch = 0; epoch < epochs; ++epoch) killed.run_epoch();
    }
    run_to_end(options);
  };
  run("whole", 0);
  run("parts", 5);
  expect_same_weights(folder / "whole", folder / "parts", repeats_its_bits());
  EXPECT_FALSE(is_there(folder / "whole/replay/epoch-0.safetensors"));
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
