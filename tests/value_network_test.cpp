// Methods with a value network, on the shipped models.

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

/** Pictures are to be colourful; the network has some ten thousand weights. */
RunOptions valued_run(const std::string& folder, const std::string& method,
                      const std::string& kind,
                      const std::vector<std::string>& overrides) {
  const bool flow = find_method(method).family == Family::flow;
  return read_run_options(Config::parse(
      cat("name: test\nfolder: ", folder, "\nmodel: models/shapes-",
          flow ? "flow" : "diffusion",
          "\nreward: colourfulness\nmethod: {name: ", method,
          ", strength: {scale: 3000}, estimator: {gradient: {norm_clip: 0, ",
          "value: {kind: ", kind,
          kind == "small" ? ", channels: [8, 8, 16]" : "",
          ", lr: 0.002, terminal: 1}}}}\n",
          R"(prompts: {per_epoch: 2, samples_per_prompt: 2}
sampling: {steps: 5, guidance_scale: 1}
train:
  epochs: 6
  weights: full
  lr: 0.0001
  updates_per_epoch: 1
  ema_decay: 0
evaluation: {images: 6, steps: 2, every: 100}
checkpoint: {every: 100}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", overrides));
}

class ValueNetworkOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(ValueNetworkOn);

TEST_P(ValueNetworkOn, LearnsBesideThePolicy) {
  const TemporaryFolder folder;
  for (const std::string method : {"vgg-flow", "residual-db"}) {
    for (const std::string kind : {"small", "copy", "lora"}) {
      SCOPED_TRACE(cat(method, " ", kind));
      const auto log = run_to_end(
          valued_run(folder / (method + kind), method, kind, {on_device()}));
      const auto loss = [&](size_t epoch) {
        return log.at(epoch).at("value_loss").get<double>();
      };
      EXPECT_LT(loss(6), loss(1));
      EXPECT_GT(log.back().at("value_norm").get<double>(), 0);
      EXPECT_EQ(log.back().at("by_step").at("value_norm").size(),
                log.back().at("by_step").at("step").size());
      EXPECT_GT(log.back().at("eval_reward").get<double>(),
                log.front().at("eval_reward").get<double>());
    }
  }
}

TEST_P(ValueNetworkOn, ResumesInTheSameBytes) {
  const TemporaryFolder folder;
  for (const std::string method : {"vgg-flow", "residual-db"}) {
    const auto run = [&](const std::string& name, int64_t stops) {
      const auto options = valued_run(folder / (method + name), method, "small",
                                      {"train.epochs=3", on_device()});
      NoProgress silent;
      for (int64_t stop = 0; stop < stops; ++stop) {
        Finetune part(options, silent);
        part.run_epoch();
        part.save();
      }
      run_to_end(options);
    };
    run("whole", 0);
    run("parts", 2);
    expect_same_weights(folder / (method + "whole"),
                        folder / (method + "parts"), repeats_its_bits());
    const auto saved = latest_checkpoint(folder / (method + "whole"));
    EXPECT_TRUE(saved->tensors.contains(
        "estimator.value_network.adamw.conv_in.weight.exp_avg"));
  }
}

}  // namespace
}  // namespace rsm
