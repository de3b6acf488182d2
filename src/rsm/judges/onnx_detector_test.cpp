#include "rsm/judges/onnx_detector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/geneval_settings.h"
#include "rsm/judges/onnx_testing.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kClasses = 80;
constexpr float kLeast = 0.3F;  // the peer's

/** A YOLOX-Nano as geneval's detector, and pictures of signs and clocks. */
class OnnxDetector : public ::testing::Test {
 protected:
  void SetUp() override {
    RSM_NEEDS_ONNX();
    const char* assets = std::getenv("RSM_ASSETS");
    const std::string from = cat(assets ? assets : "", "/detector");
    if (!assets || !is_file(from + "/yolox_nano.onnx")) {
      GTEST_SKIP() << "RSM_ASSETS has no detector/yolox_nano.onnx";
    }
    fs::copy_file(from + "/yolox_nano.onnx", folder_ / "detector.onnx");
    fs::copy_file(from + "/coco_classes.txt", folder_ / "classes.txt");
    run_python("onnx_detector_peer.py",
               cat("'", folder_ / "detector.onnx", "' '", folder_.path(), "'"));
    images_ =
        read_safetensors(folder_ / "images.safetensors").tensors.at("images");
    peer_ = read_json(folder_ / "peer.json");
  }

  std::unique_ptr<Reward> made() const {
    auto spec = spec_of("geneval:" + folder_.path());
    spec.threads = 2;
    return make_any_reward(spec, kNeverStops);
  }
  std::string check_error() const {
    const auto reward = made();
    return error_of([&] { reward->check(); });
  }
  void settings(const json& object) const {
    write_json_atomic(folder_ / "geneval.json", object);
  }

  TemporaryFolder folder_;
  torch::Tensor images_;
  json peer_;
};

TEST_F(OnnxDetector, SeesWhatNumPyDecodes) {
  const auto detector = geneval::make_onnx_detector(
      "me", folder_ / "detector.onnx", kClasses, {}, 2);
  detector->check();
  const auto seen = detector->see(images_);
  ASSERT_EQ(seen.size(), peer_.size());
  for (size_t i = 0; i < seen.size(); ++i) {
    std::vector<geneval::Detection> sure;
    for (const auto& one : seen[i].objects) {
      if (one.score > kLeast) sure.push_back(one);
    }
    std::sort(sure.begin(), sure.end(), [](const auto& a, const auto& b) {
      return a.box.left < b.box.left;
    });
    ASSERT_EQ(sure.size(), peer_[i].size()) << i;
    for (size_t j = 0; j < sure.size(); ++j) {
      const json& wanted = peer_[i][j];
      EXPECT_EQ(sure[j].kind, wanted[0].get<int64_t>());
      // OpenCV rounds its weights: some bytes differ by one.
      EXPECT_NEAR(sure[j].score, wanted[1].get<double>(), 0.01);
      EXPECT_NEAR(sure[j].box.left, wanted[2].get<double>(), 1);
      EXPECT_NEAR(sure[j].box.top, wanted[3].get<double>(), 1);
      EXPECT_NEAR(sure[j].box.right, wanted[4].get<double>(), 1);
      EXPECT_NEAR(sure[j].box.bottom, wanted[5].get<double>(), 1);
    }
    EXPECT_FALSE(seen[i].masks.defined());
  }
}

json clause(const char* name, int64_t count, const json& more = {}) {
  json out = {{"class", name}, {"count", count}};
  if (more.is_object()) out.update(more);
  return out;
}

TEST_F(OnnxDetector, JudgesPicturesOfSignsAndClocks) {
  // A clock of the three is sure by 0.90, beside which the usual threshold
  // where objects are counted lies.
  settings({{"counting_threshold", 0.5}});
  const auto reward = made();
  reward->check();
  EXPECT_EQ(reward->main_metric(), "geneval-like");
  const char *const sign = "stop sign", *const clock = "clock";
  // Picture, what is asked of it, whether it is right.
  struct Case {
    int64_t picture;
    Prompt prompt;
    float right;
  };
  const auto beside = [&](const char* relation) {
    return prompt_of(
        "position",
        {clause(sign, 1), clause(clock, 1, {{"position", {relation, 0}}})});
  };
  const auto one = [](const char* tag, const json& asked) {
    return prompt_of(tag, json::array({asked}));
  };
  const std::vector<Case> cases = {
      {0, one("single_object", clause(sign, 1)), 1},
      {2, one("single_object", clause(sign, 1)), 0},
      {3, prompt_of("two_object", {clause(sign, 1), clause(clock, 1)}), 1},
      {1, prompt_of("two_object", {clause(sign, 1), clause(clock, 1)}), 0},
      {1, one("counting", clause(sign, 2)), 1},
      {4, one("counting", clause(clock, 3)), 1},
      {1, one("counting", clause(sign, 3)), 0},
      {0, one("colors", clause(sign, 1, {{"color", "red"}})), 1},
      {0, one("colors", clause(sign, 1, {{"color", "green"}})), 0},
      {3, beside("right of"), 1},
      {3, beside("left of"), 0}};
  std::vector<torch::Tensor> pictures;
  TestPictures asked;
  for (const auto& [picture, prompt, right] : cases) {
    pictures.push_back(images_[picture]);
    asked.prompts.push_back(prompt);
  }
  asked.images = at::stack(pictures);
  const auto found = score(*reward, asked).metrics.at("strict");
  for (size_t i = 0; i < cases.size(); ++i) {
    EXPECT_EQ(found[static_cast<int64_t>(i)].item<float>(), cases[i].right)
        << i;
  }
  expect_each_picture_alone(*reward, asked);
}

TEST_F(OnnxDetector, WrongSettingsAndFilesAreRefusedBeforeARun) {
  settings({{"onnx", {{"strides", {8, 16}}}}});
  expect_parts(check_error(), {"gives [1, 3549, 85]", "[1,3380,85]", "[8,16]"});
  settings({{"onnx", {{"pading", 0}}}});
  expect_parts(check_error(), {"geneval.json", "\"pading\"", "padding"});
  settings({{"onnx", {{"padding", 300}}}});
  expect_parts(check_error(), {"onnx.padding", "300", "0 to 255"});
  settings({{"detector", "detector.pt"}, {"onnx", json::object()}});
  expect_parts(check_error(), {"geneval.json", "onnx", ".onnx file"});
  settings(json::object());
  write_file_atomic(folder_ / "classes.txt", "bench\nclock\n");
  expect_parts(check_error(), {"rows [1,3549,7]", "2 classes"});
  const std::string whole = read_file(folder_ / "detector.onnx");
  write_file_atomic(folder_ / "detector.onnx",
                    whole.substr(0, whole.size() / 2));
  expect_parts(check_error(), {"detector.onnx", "cannot be read as ONNX"});
}

TEST(OnnxDetectorSettings, AreThoseOfTheFolder) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "detector.onnx", "");
  EXPECT_EQ(geneval::read_settings(folder.path()).detector,
            folder / "detector.onnx");
  EXPECT_EQ(network_places("geneval:" + folder.path()).at(1),
            folder / "detector.onnx");
  write_json_atomic(folder / "own.json", {{"detector", "a.onnx"},
                                          {"onnx",
                                           {{"strides", json::array()},
                                            {"size", 640},
                                            {"channels", "rgb"},
                                            {"range", 1}}}});
  const auto s = geneval::read_settings(folder / "own.json");
  EXPECT_EQ(s.detector, folder / "a.onnx");
  EXPECT_TRUE(s.grid.strides.empty());
  EXPECT_EQ(s.grid.size, 640);
  EXPECT_EQ(s.grid.pixels.range, 1);
  EXPECT_FALSE(s.grid.pixels.bgr);
  write_file_atomic(folder / "detector.pt", "");
  EXPECT_EQ(geneval::read_settings(folder.path()).detector,
            folder / "detector.pt");
}

}  // namespace
}  // namespace rsm
