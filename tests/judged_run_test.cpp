// Runs on rewards that are networks, of both orders.

#include <gtest/gtest.h>

#include "gradient_run_testing.h"
#include "rsm/base/testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/judges/script_testing.h"
#include "rsm/judges/testing.h"
#include "rsm/runs/run_inputs.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

class JudgedRunOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(JudgedRunOn);

TEST_P(JudgedRunOn, TrainsOnARandomClipByItsValues) {
  const TemporaryFolder folder;
  write_small_clip(folder / "clip");
  const auto options = quick_run(
      folder / "run", on_device({"reward=clip-score:" + folder / "clip"}));
  const auto log = run_to_end(options);
  for (const auto* line : {&log.front(), &log.back()}) {
    const double cosine = line->at("eval_reward");
    EXPECT_GE(cosine, -1);
    EXPECT_LE(cosine, 1);
  }
  EXPECT_NE(log.front().at("eval_reward"), log.back().at("eval_reward"));
}

TEST_P(JudgedRunOn, TrainsOnARandomClipByItsGradient) {
  const TemporaryFolder folder;
  write_small_clip(folder / "clip");
  const auto options = gradient_run(
      folder / "run", Family::flow, "{name: adjoint-matching}",
      on_device({"reward=aesthetic:" + folder / "clip", "train.epochs=2",
                 "method.estimator.gradient.norm_clip=0"}));
  const auto log = run_to_end(options);
  EXPECT_NE(log.front().at("eval_reward"), log.back().at("eval_reward"));
}

/** A detector that sees up to three clocks, as sure as digits far behind the
 * point of a picture's means say. */
void write_clock_detector(const std::string& folder) {
  make_folders(folder);
  write_forward(folder + "/detector.pt", R"(
def forward(self, images: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
  scores = torch.frac(images.mean([2, 3]) * 1000)
  boxes = torch.ones([images.size(0), 3, 4], device=images.device)
  return boxes, scores, torch.zeros_like(scores, dtype=4)
)");
  write_file_atomic(folder + "/classes.txt", "clock\nvase\n");
}

TEST_P(JudgedRunOn, TrainsOnADetectorAndTellsOfEachTask) {
  const TemporaryFolder folder;
  write_clock_detector(folder / "geneval");
  const std::string prompts = folder / "prompts.jsonl";
  write_file_atomic(
      prompts,
      R"({"prompt": "a red circle", "tag": "single_object", )"
      R"("include": [{"class": "clock", "count": 1}]})"
      "\n"
      R"({"prompt": "two squares", "tag": "two_object", "include": )"
      R"([{"class": "clock", "count": 1}, {"class": "vase", "count": 1}]})"
      "\n");
  const auto options = quick_run(
      folder / "run",
      on_device({"reward=geneval:" + folder / "geneval", "train.epochs=1",
                 "prompts.train=" + prompts, "evaluation.prompts=" + prompts}));
  const auto log = run_to_end(options);
  const auto& tasks = log.front().at("eval").at("by_category");
  for (const char* task : {"single_object", "two_object"}) {
    const auto& metrics = tasks.at(task);
    for (const char* name : {"geneval-like", "strict", "graded"}) {
      EXPECT_TRUE(metrics.at(name).is_number()) << task << name;
    }
  }
  EXPECT_EQ(tasks.at("two_object").at("strict"), 0);
  EXPECT_TRUE(log.back().at("metrics").contains("geneval-like"));
}

TEST(JudgedRun, FilesOfItsNetworksAreAmongWhatItRestsOn) {
  const TemporaryFolder folder;
  write_small_clip(folder / "clip");
  const auto options =
      quick_run(folder / "run", {"reward=clip-score:" + folder / "clip"});
  const auto before = run_inputs(options);
  EXPECT_TRUE(before.judges.contains(folder / "clip/model.safetensors"));
  EXPECT_TRUE(changed_judges(before, run_inputs(options)).empty());
  write_safetensors(folder / "clip/head.safetensors", {});
  EXPECT_EQ(changed_judges(before, run_inputs(options)),
            std::vector<std::string>{folder / "clip/head.safetensors"});
  // So are those that are told by their names alone.
  const std::string network = folder / "judge.onnx";
  write_file_atomic(network, "one");
  write_file_atomic(network + ".data", "weights");
  const auto of_onnx = quick_run(folder / "run", {"reward=onnx:" + network});
  const auto first = run_inputs(of_onnx);
  EXPECT_EQ(first.judges.size(), 2u);
  write_file_atomic(network, "two");
  EXPECT_EQ(changed_judges(first, run_inputs(of_onnx)),
            std::vector<std::string>{network});
}

TEST(JudgedRun, ABlackBoxIsRefusedByMethodsThatFollowAGradient) {
  const TemporaryFolder folder;
  for (const std::string reward : {"onnx:a.onnx", "ocr", "geneval"}) {
    const auto error = error_of([&] {
      gradient_run(folder / "run", Family::flow, "{name: adjoint-matching}",
                   {"reward=" + reward});
    });
    expect_parts(error, {"reward " + reward, "no gradient"});
  }
}

TEST(JudgedRun, ItsRewardHasTheRunsDeviceAndTypeOfItsOwn) {
  const auto spec = [](const std::string& more) {
    const auto options = read_run_options(
        Config::parse("name: run\nmodel: models/shapes-flow\nrewards:\n"
                      "  - {name: 'torchscript:a.pt'" +
                          more + "}\n",
                      "test.yaml"));
    return options.rewards.front();
  };
  EXPECT_EQ(spec("").device, "cpu");
  EXPECT_GE(spec("").threads, 1);
  EXPECT_EQ(spec("").type, "float32");
  EXPECT_FALSE(spec("").gradient);
  EXPECT_EQ(spec(", device: 'cuda:1', type: bfloat16").device, "cuda:1");
  EXPECT_EQ(spec(", type: bfloat16").type, "bfloat16");
  expect_parts(error_of([&] { spec(", device: gpu"); }),
               {"device", "\"gpu\"", "cuda"});
  expect_parts(error_of([&] { spec(", type: float8"); }), {"type", "bfloat16"});
}

}  // namespace
}  // namespace rsm
