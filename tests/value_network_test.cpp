// Methods with a value network, on the shipped models.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "gradient_run_testing.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

/** The network has some ten thousand weights. */
RunOptions valued_run(const std::string& folder, const std::string& method,
                      const std::string& kind,
                      std::vector<std::string> overrides) {
  for (const char* quicker :
       {"prompts.per_epoch=2", "sampling.steps=3", "train.epochs=3",
        "train.lr=0.0001", "evaluation.steps=2"}) {
    overrides.emplace_back(quicker);
  }
  return gradient_run(
      folder, find_method(method).family.value(),
      cat("{name: ", method,
          ", strength: {scale: 3000}, estimator: {gradient: {norm_clip: 0, ",
          "value: {kind: ", kind,
          kind == "small" ? ", channels: [8, 8, 16]" : "", ", terminal: 1}}}}"),
      overrides);
}

class ValueNetworkOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(ValueNetworkOn);

TEST_P(ValueNetworkOn, TrainsBesideThePolicy) {
  const TemporaryFolder folder;
  const std::vector<std::pair<std::string, std::string>> runs = {
      {"vgg-flow", "lora"},
      {"vgg-flow", "small"},
      {"residual-db", "copy"},
      {"residual-db", "small"}};
  for (const auto& [method, kind] : runs) {
    SCOPED_TRACE(cat(method, " ", kind));
    const auto log = run_to_end(
        valued_run(folder / (method + kind), method, kind, on_device()));
    for (size_t epoch = 1; epoch < log.size(); ++epoch) {
      const auto& line = log[epoch];
      EXPECT_TRUE(std::isfinite(line.at("value_loss").get<double>()));
      EXPECT_GT(line.at("value_norm").get<double>(), 0);
      EXPECT_GT(line.at("grad_norm").get<double>(), 0);
      EXPECT_EQ(line.at("by_step").at("value_norm").size(),
                line.at("by_step").at("step").size());
    }
    const auto saved = latest_checkpoint(folder / (method + kind));
    int64_t steps = 0;  // its AdamW's, one an epoch
    for (const auto& [name, tensor] : saved->tensors) {
      if (name.starts_with("estimator.value_network.adamw.") &&
          name.ends_with(".step")) {
        steps = tensor.item<int64_t>();
      }
    }
    EXPECT_EQ(steps, 3);
  }
}

TEST_P(ValueNetworkOn, ResumesInTheSameBytes) {
  const TemporaryFolder folder;
  for (const std::string method : {"vgg-flow", "residual-db"}) {
    const auto run = [&](const std::string& name, int64_t stops) {
      const auto options =
          valued_run(folder / (method + name), method, "small", on_device());
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
