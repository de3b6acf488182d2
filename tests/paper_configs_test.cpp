// The configs of published runs, on models as deep as the real ones and a few
// numbers wide: they add up, train, are killed, go on and export.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "finetune_testing.h"
#include "program.h"
#include "rsm/data/prompts.h"
#include "rsm/io/config.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/image_model.h"
#include "rsm/rewards/testing.h"
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

/** What a config trains on, which the runs below replace: its weights are not
 * at hand. */
std::unique_ptr<Reward> own_reward(const std::string& config) {
  RewardSpec spec;
  spec.name = Config::load(kConfigs + config + ".yaml").text("reward");
  return make_any_reward(spec, kNeverStops);
}

TEST(PublishedConfigs, NameRewardsThatThereAre) {
  for (const auto& config : all_configs()) {
    std::string name;
    EXPECT_NO_THROW(name = own_reward(config)->name()) << config;
    EXPECT_FALSE(name.empty()) << config;
  }
}

/** Models in place of the real ones, and what else a published run needs. */
class PaperConfigs : public ::testing::Test {
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

  /** "sd15" of "sd15/...". */
  static std::string family(const std::string& config) {
    return config.substr(0, 4);
  }

  RunOptions read(const std::string& config,
                  std::vector<std::string> overrides = {}) const {
    for (const auto& one : std::vector<std::string>{
             "model=" + folder_ / family(config), "reward=colourfulness",
             "prompts.train=" + folder_ / "prompts.txt",
             "prompts.cache=" + folder_ / "conditions",
             "evaluation.prompts=" + folder_ / "prompts.txt"}) {
      overrides.push_back(one);
    }
    return read_run_options(
        Config::load(kConfigs + config + ".yaml", overrides));
  }

  /** A config of a run of two epochs with a few pictures; its path. */
  std::string small_config(const std::string& config,
                           const std::string& name) const {
    const auto estimator = read(config).method.estimator;
    const bool branches = estimator.source == EstimatorKnobs::Source::branches;
    std::vector<std::string> overrides = {
        "folder=" + folder_ / name,
        "compute.device=cpu",
        "sampling.size=64",
        "prompts.per_epoch=2",
        "sampling.steps=5",
        "train.lora.rank=2",
        "prompts.t5_tokens=8",
        "train.epochs=2",
        "evaluation.images=2",
        "evaluation.steps=2",
        "evaluation.drift_steps=1",
        "checkpoint.every=1",
        "compute.rollout_tile=4",
        "compute.train_tile=4",
        cat("compute.activation_checkpointing=",
            family(config) == "sd35" ? "true" : "false"),
        "compute.threads=2",
        cat("prompts.samples_per_prompt=", branches ? 1 : 2)};
    if (branches) {
      overrides.push_back("method.estimator.branches=[3, 2, 0, 0, 0]");
    }
    const auto path = folder_ / (name + ".yaml");
    write_file_atomic(path, read(config, overrides).resolved);
    return path;
  }

  TemporaryFolder folder_;
};

TEST_F(PaperConfigs, AddUp) {
  for (const auto& config : all_configs()) {
    const auto options = read(config);
    EXPECT_TRUE(own_reward(config)->is_differentiable() ||
                !options.method.estimator.needs_gradients())
        << config;
    const auto prompts = load_prompts(options.train_prompts);
    for (const auto& one :
         advise(options, forecast(options), prompts, prompts)) {
      // Three prompts stand for thousands; the uw-sigma baseline has no KL.
      EXPECT_TRUE(one.key == "prompts.per_epoch" ||
                  one.key == "evaluation.images" ||
                  (one.key == "method.regularisation.beta" &&
                   options.method.name == "pcpo-uw-sigma"))
          << config << ": " << one.key << ": " << one.text;
    }
  }
}

class PaperRuns : public PaperConfigs,
                  public ::testing::WithParamInterface<std::string> {};
INSTANTIATE_TEST_SUITE_P(All, PaperRuns, ::testing::ValuesIn(all_configs()),
                         [](const auto& info) {
                           auto name = info.param;
                           std::replace_if(
                               name.begin(), name.end(),
                               [](char c) { return std::isalnum(c) == 0; },
                               '_');
                           return name;
                         });

TEST_P(PaperRuns, AreKilledGoOnInTheSameBytesAndExport) {
  const auto whole = small_config(GetParam(), "whole");
  const auto broken = small_config(GetParam(), "broken");
  ASSERT_EQ(Program(whole).ends_by(), 0);
  {
    const Program program(broken);
    program.wait_for_lines(folder_ / "broken", 2);
    program.ends_by(SIGKILL);
  }
  ASSERT_EQ(Program(broken).ends_by(), 0);
  expect_same_weights(folder_ / "whole", folder_ / "broken");
  ExportOptions options;
  options.run = folder_ / "whole";
  options.output = folder_ / "export";
  NoProgress silent;
  for (const auto& file : export_run(options, silent)) {
    EXPECT_LT(file.difference, 1e-4) << file.path;
  }
  const auto merged = ImageModel::load(folder_ / "export/merged");
  EXPECT_GT(merged.decoder->scale(), 1) << "the VAE is not there";
}

}  // namespace
}  // namespace rsm
