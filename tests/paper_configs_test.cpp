// The configs of published runs, on models as deep as the real ones and a few
// numbers wide: they add up, train, are killed, go on and export.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "finetune_testing.h"
#include "program.h"
#include "rsm/data/prompts.h"
#include "rsm/runs/export.h"
#include "rsm/runs/forecast.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

const std::string kConfigs = std::string(RSM_SOURCE_DIR) + "/configs/";

std::vector<std::string> configs_in(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& entry : fs::directory_iterator(kConfigs + folder)) {
    out.push_back(folder + "/" + entry.path().stem().string());
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> all_configs() {
  auto out = configs_in("sd15");
  const auto more = configs_in("sd35");
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

class PaperConfigs : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const char* assets = std::getenv("RSM_ASSETS");
    if (assets == nullptr || !fs::exists(cat(assets, "/configs"))) {
      GTEST_SKIP() << "RSM_ASSETS names no folder with configs";
    }
    run_python("pipelines_peer.py",
               cat("'", assets, "' '", folder_.path(), "' deep"));
    write_file_atomic(folder_ / "prompts.txt",
                      "two red clocks\na bear left of a cup\na blue bus\n");
  }

  std::string family() const { return GetParam().substr(0, 4); }

  /** What stands for the data that a published run needs. */
  std::vector<std::string> substitutes() const {
    return {"model=" + folder_ / family(), "reward=jpeg-compressibility",
            "prompts.train=" + folder_ / "prompts.txt",
            "prompts.cache=" + folder_ / "conditions",
            "evaluation.prompts=" + folder_ / "prompts.txt"};
  }

  RunOptions read(const std::vector<std::string>& overrides) const {
    return read_run_options(
        Config::load(kConfigs + GetParam() + ".yaml", overrides));
  }

  /** A config of a run of two epochs with a few pictures; its path. */
  std::string small_config(const std::string& name) const {
    auto overrides = substitutes();
    overrides.insert(
        overrides.end(),
        {"folder=" + folder_ / name, "compute.device=cpu", "sampling.size=64",
         "prompts.per_epoch=2", "sampling.steps=5", "train.lora.rank=2",
         "prompts.t5_tokens=8", "train.epochs=2", "evaluation.images=2",
         "evaluation.steps=2", "evaluation.drift_steps=1", "checkpoint.every=1",
         "compute.rollout_tile=4", "compute.train_tile=4",
         "compute.threads=2"});
    const auto branches =
        read(overrides_with_device()).method.estimator.source ==
        EstimatorKnobs::Source::branches;
    overrides.push_back(cat("prompts.samples_per_prompt=", branches ? 1 : 2));
    if (branches) {
      overrides.push_back("method.estimator.branches=[3, 2, 0, 0, 0]");
    }
    const auto path = folder_ / (name + ".yaml");
    write_file_atomic(path, read(overrides).resolved);
    return path;
  }

  std::vector<std::string> overrides_with_device() const {
    auto out = substitutes();
    out.emplace_back("compute.device=cpu");
    return out;
  }

  TemporaryFolder folder_;
};
INSTANTIATE_TEST_SUITE_P(All, PaperConfigs, ::testing::ValuesIn(all_configs()),
                         [](const auto& info) {
                           auto name = info.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](char c) { return std::isalnum(c) == 0; },
                               '_');
                           return name;
                         });

TEST_P(PaperConfigs, AddUp) {
  const auto options = read(substitutes());
  const auto prompts = load_prompts(options.train_prompts);
  for (const auto& one : advise(options, forecast(options), prompts, prompts)) {
    // Three prompts stand for the thousands of the real list.
    EXPECT_TRUE(one.key == "prompts.per_epoch" ||
                one.key == "evaluation.images" ||
                one.key == "evaluation.prompts")
        << one.key << ": " << one.text;
  }
}

TEST_P(PaperConfigs, RunAreKilledGoOnInTheSameBytesAndExport) {
  const auto whole = small_config("whole"), broken = small_config("broken");
  ASSERT_EQ(Program(whole).ends_by(), 0);
  {
    const Program program(broken);
    program.wait_for_lines(folder_ / "broken", 2);
    program.ends_by(SIGKILL);
  }
  ASSERT_EQ(Program(broken).ends_by(), 0);
  expect_same_weights(folder_ / "whole", folder_ / "broken", true);
  EXPECT_TRUE(fs::exists(folder_ / "whole/final/adapter_model.safetensors"))
      << "no PEFT adapter";
}

}  // namespace
}  // namespace rsm
