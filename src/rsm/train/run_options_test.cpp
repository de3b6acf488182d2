#include "rsm/train/run_options.h"

#include <gtest/gtest.h>

#include <sstream>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

RunOptions options_of(const std::vector<std::string>& overrides) {
  return read_run_options(Config::parse("name: a\nmodel: models/shapes-flow\n",
                                        "test.yaml", overrides));
}

TEST(RunOptions, DocsNameEveryKey) {
  std::string docs;
  for (const std::string page : {"configs", "methods", "rewards"}) {
    docs += read_file("docs/" + page + ".md");
  }
  std::istringstream lines(
      options_of({"method={name: branch-grpo, estimator: {baseline: running, "
                  "grouping: prompt}}",
                  "prompts.samples_per_prompt=2"})
          .resolved);
  int64_t keys = 0;
  for (std::string line; std::getline(lines, line); ++keys) {
    const auto from = line.find_first_not_of(' ');
    const auto to = line.find(':');
    if (to == std::string::npos || to + 1 == line.size()) continue;  // section
    const std::string key = line.substr(from, to - from);
    const bool named = docs.find('`' + key + '`') != std::string::npos ||
                       docs.find('.' + key + '`') != std::string::npos ||
                       docs.find('`' + key + ": ") != std::string::npos;
    EXPECT_TRUE(named) << key;
  }
  EXPECT_GT(keys, 50);
}

TEST(RunOptions, MistakesNameFileLineKeyAndTheNearestWord) {
  const auto error = [](const std::vector<std::string>& overrides) {
    return error_of([&] { options_of(overrides); });
  };
  expect_parts(error({"train.lrr=1"}), {"train.lrr", "unknown key", "lr"});
  expect_parts(error({"method.name=rsm-flw"}),
               {"method.name", "rsm-flow", "tempflow-grpo"});
  expect_parts(error({"compute.tile=0"}), {"compute.tile", "0", "1"});
  expect_parts(error({"compute.device=gpu"}), {"compute.device", "cuda"});
  expect_parts(error({"sampling.steps=ten"}), {"sampling.steps", "ten"});
  expect_parts(error({"method.estimator.branches=[1,1]"}), {"branches"});
  expect_parts(error({"train.lora.targets=attn"}),
               {"train.lora.targets", "\"attn\"", "all-linear", "list"});
  expect_parts(error({"train.lora.targets=[all-linear, to_q]"}),
               {"train.lora.targets", "alone"});
  const auto line = error_of([] {
    read_run_options(Config::parse(
        "name: a\nmodel: models/shapes-flow\nsead: 3\n", "my.yaml"));
  });
  expect_parts(line, {"my.yaml:3", "sead", "seed"});
}

TEST(RunOptions, AllLinearIsAWordOfTheTargets) {
  const auto options = options_of(
      {"train.lora.targets=all-linear", "train.lora.exclude=[to_q]"});
  EXPECT_TRUE(options.lora_config.all_linear());
  EXPECT_EQ(options.lora_config.exclude, std::vector<std::string>{"to_q"});
  const auto again =
      read_run_options(Config::parse(options.resolved, "config.yaml"));
  EXPECT_EQ(again.resolved, options.resolved);
  EXPECT_TRUE(again.lora_config.all_linear());
  EXPECT_EQ(options_of({}).lora_config.targets, kSd3LoraTargets);
}

}  // namespace
}  // namespace rsm
