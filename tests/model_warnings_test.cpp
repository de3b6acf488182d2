// What a run says of its model's folder and of prompts that are cut.

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Listening : public NoProgress {
 public:
  void say(const std::string& line) override { said += line + "\n"; }
  std::string said;
};

TEST(ModelWarnings, AreSaidAndKeptWithTheRun) {
  const TemporaryFolder folder;
  fs::copy("models/shapes-flow", folder / "m", fs::copy_options::recursive);
  const std::string scheduler = folder / "m/scheduler/scheduler_config.json";
  json config = read_json(scheduler);
  config["variance_type"] = "fixed_small";
  write_json_atomic(scheduler, config);
  const std::string cut =
      "a red circle above a green square beside a blue triangle and a yellow "
      "cross and a red circle";
  write_file_atomic(folder / "prompts.txt", "a red circle\n" + cut + "\n");
  const auto options = read_run_options(Config::parse(
      cat("name: t\nfolder: ", folder / "run", "\nmodel: ", folder / "m",
          "\nreward: jpeg-compressibility\n",
          "prompts: {train: ", folder / "prompts.txt", "}\n",
          "train: {epochs: 0}\n"
          "evaluation: {images: 6, steps: 1}\n"),
      "test.yaml"));
  Listening progress;
  Finetune(options, progress).save();
  const json kept = read_json(folder / "run/run.json")["warnings"];
  ASSERT_EQ(kept.size(), 2U);
  const std::vector<std::vector<std::string>> parts = {
      {scheduler, "variance_type", "passed over"},
      {"1 of 2 training prompts is longer", '"' + cut.substr(0, 70)}};
  for (size_t i = 0; i < parts.size(); ++i) {
    expect_parts(kept[i], parts[i]);
    expect_parts(progress.said, {"warning: " + kept[i].get<std::string>()});
  }
}

}  // namespace
}  // namespace rsm
