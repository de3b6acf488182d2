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
      EXPECT_GT(line.at("seconds").at("learn").get<double>(), 0);
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

/** g of every kind, beside weights of both, with and without replayed paths. */
TEST_P(ValueNetworkOn, ResumesInTheSameBytes) {
  struct Case {
    std::string method, kind;
    std::vector<std::string> overrides;
  };
  const std::string gradient = "method.estimator.gradient.";
  const std::vector<Case> cases = {
      {"vgg-flow", "small", {}},
      {"vgg-flow", "lora", {"train.weights=lora"}},
      {"residual-db",
       "small",
       {gradient + "replay=1", gradient + "replay_age=1"}},
      {"residual-db", "copy", {"train.weights=lora"}}};
  const TemporaryFolder folder;
  for (const auto& [method, kind, overrides] : cases) {
    SCOPED_TRACE(cat(method, " ", kind));
    const auto run = [&, &m = method, &k = kind,
                      &o = overrides](const std::string& name) {
      return valued_run(folder / (m + k + name), m, k, on_device(o));
    };
    const auto saved =
        expect_resumes(run("whole"), run("parts"), repeats_its_bits());
    const auto moments =
        with_prefix(saved.tensors, "estimator.value_network.adamw.");
    EXPECT_FALSE(moments.empty());
    double moved = 0;
    for (const auto& [name, tensor] : moments) {
      if (name.ends_with("exp_avg")) moved += tensor.norm().item<double>();
    }
    EXPECT_GT(moved, 0);
  }
}

}  // namespace
}  // namespace rsm
