// Runs whose evaluations measure more than the reward.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/testing.h"
#include "rsm/judges/script_testing.h"
#include "rsm/runs/run_inputs.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

std::string write_features(const TemporaryFolder& folder) {
  return write_forward(folder / "features.pt", R"(
def forward(self, images: Tensor) -> Tensor:
  return images.flatten(1) + 0.1
)");
}

/** Two prompts of three pictures each. */
RunOptions run_with(const TemporaryFolder& folder, const std::string& name,
                    std::vector<std::string> more) {
  write_file_atomic(folder / "prompts.txt", "a red circle\ntwo crosses\n");
  more.push_back("evaluation.prompts=" + (folder / "prompts.txt"));
  return quick_run(folder / name, more);
}

TEST(Beside, MetricsAreMeasuredAndTrainNothing) {
  const TemporaryFolder folder;
  const auto features = write_features(folder);
  const auto plain = run_with(folder, "plain", {});
  const auto more =
      run_with(folder, "more", {"evaluation.features=" + features});
  const auto before = run_to_end(plain), after = run_to_end(more);
  expect_same_weights(plain.folder, more.folder);
  for (const auto* line : {&after.front(), &after.back()}) {
    const auto& eval = line->at("eval");
    const double diversity = eval.at("metrics").at("feature_diversity");
    EXPECT_GT(diversity, 0);
    EXPECT_LT(diversity, 2);
    EXPECT_EQ(eval.at("watch").at("feature_diversity").get<double>(),
              diversity);
  }
  EXPECT_FALSE(
      before.back().at("eval").at("metrics").contains("feature_diversity"));
  EXPECT_EQ(before.back().at("eval_reward"), after.back().at("eval_reward"));
  const auto inputs = run_inputs(more);
  EXPECT_TRUE(inputs.judges.contains(features));
}

TEST(Beside, QualityIsMeasuredWhereItsFilesAreNamed) {
  const char* assets = std::getenv("RSM_ASSETS");
  const std::string iqa = std::string(assets == nullptr ? "" : assets) + "/iqa";
  if (!std::filesystem::exists(iqa)) GTEST_SKIP() << "RSM_ASSETS has no iqa";
  const TemporaryFolder folder;
  const auto options =
      run_with(folder, "run",
               {"evaluation.niqe=" + iqa + "/niqe_image_params.mat",
                "evaluation.brisque=" + iqa + "/brisque_model_live.yml",
                "train.epochs=1"});
  const auto log = run_to_end(options);
  const auto& metrics = log.front().at("eval").at("metrics");
  const double brisque = metrics.at("brisque");
  EXPECT_GE(brisque, 0);
  EXPECT_LE(brisque, 100);
  EXPECT_FALSE(metrics.contains("niqe"));  // pictures are smaller than a block
  const auto about =
      parse_json("run.json", read_file(options.folder + "/run.json"));
  EXPECT_EQ(about.at("reward").at("watched"),
            (nlohmann::json{"niqe", "brisque"}));
  EXPECT_TRUE(about.at("finished").get<bool>());
}

TEST(Beside, AFileThatIsMissingIsNamedBeforeTraining) {
  const TemporaryFolder folder;
  for (const std::string key : {"features", "niqe", "brisque"}) {
    const auto options = run_with(
        folder, key, {"evaluation." + key + "=" + (folder / "none.file")});
    NoProgress silent;
    expect_parts(error_of([&] { Finetune run(options, silent); }),
                 {folder / "none.file"});
  }
}

}  // namespace
}  // namespace rsm
