#include "rsm/judges/ocr_reward.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/ocr_settings.h"
#include "rsm/judges/onnx_testing.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr int64_t kSide = 256;  // of its pictures: a tenth of the usual time
constexpr const char* kDetector = "models/ch_PP-OCRv4_det_infer.onnx";
constexpr const char* kRecogniser = "models/ch_PP-OCRv4_rec_infer.onnx";

/** The peer's pictures and networks, once a process: ctest starts one a test.
 */
class OcrJudge : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!has_onnx()) return;
    folder_ = std::make_unique<TemporaryFolder>();
    run_python("ocr_peer.py", cat("'", folder_->path(), "' ", kSide));
    const auto peer = read_safetensors(*folder_ / "images.safetensors").tensors;
    pictures_.images = peer.at("images");
    scores_ = peer.at("scores");
    for (const json& text : read_json(*folder_ / "prompts.json")) {
      pictures_.prompts.push_back({0, text.get<std::string>(), "signs"});
    }
  }
  static void TearDownTestSuite() {
    folder_.reset();
    pictures_ = TestPictures();
    scores_ = torch::Tensor();
  }
  void SetUp() override { RSM_NEEDS_ONNX(); }

  /** With settings of ocr.json beside those that are needed here. */
  static std::unique_ptr<Reward> made(const json& more = json::object()) {
    json all = {
        {"detector", kDetector}, {"recogniser", kRecogniser}, {"side", kSide}};
    all.update(more);
    write_json_atomic(*folder_ / "ocr.json", all);
    auto spec = spec_of("ocr:" + folder_->path());
    spec.threads = 2;
    return make_any_reward(spec, kNeverStops);
  }
  static std::string check_error(const json& more) {
    const auto reward = made(more);
    const auto error = error_of([&] { reward->check(); });
    expect_parts(error, {"[reward ocr:" + folder_->path() + "]"});
    return error;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static TestPictures pictures_;
  static torch::Tensor scores_;
};
std::unique_ptr<TemporaryFolder> OcrJudge::folder_;
TestPictures OcrJudge::pictures_;
torch::Tensor OcrJudge::scores_;

TEST_F(OcrJudge, ScoresWhatRapidOcrReads) {
  const auto reward = made();
  reward->check();
  EXPECT_FALSE(reward->is_differentiable());
  EXPECT_EQ(reward->main_metric(), "pp-ocr");
  const auto found = score(*reward, pictures_);
  EXPECT_LT((found.value - scores_).abs().mean().item<double>(), 0.01);
  // The peer reads most of them, and not those that are not there.
  EXPECT_GT(scores_.eq(1).sum().item<int64_t>(), 10);
  EXPECT_LT(scores_.min().item<double>(), 0.2);
  EXPECT_TRUE(found.metrics.at("pp-ocr").equal(found.value));
  EXPECT_TRUE(
      found.metrics.at("exact").equal(found.value.eq(1).to(at::kFloat)));
  // The same bits, in another order and for other threads.
  TestPictures some;
  some.images = pictures_.images.narrow(0, 0, 4);
  some.prompts = {pictures_.prompts.begin(), pictures_.prompts.begin() + 4};
  expect_each_picture_alone(*reward, some);
  // Nothing is read where nothing is sure enough.
  TestPictures asked;
  asked.images =
      at::cat({at::full({1, 3, 64, 80}, 0.5F), at::zeros({1, 3, 64, 80})});
  asked.prompts = {pictures_.prompts[0], pictures_.prompts[1]};
  EXPECT_TRUE(score(*made(), asked).value.equal(at::zeros({2})));
  asked.images = pictures_.images.narrow(0, 0, 2);
  EXPECT_TRUE(
      score(*made({{"box_threshold", 1}}), asked).value.equal(at::zeros({2})));
  // Prompts that quote nothing are named.
  asked = pictures_;
  asked.prompts[2].text = "a sign";
  expect_parts(score_error(*reward, asked), {"\"a sign\"", "double quotes"});
  expect_parts(error_of([&] { reward->check_inputs(asked.prompts, 64, 80); }),
               {"\"a sign\"", "double quotes"});
}

TEST_F(OcrJudge, WrongFilesAreRefusedBeforeARun) {
  expect_parts(check_error({{"detector", "none.onnx"}}),
               {"no file", "none.onnx"});
  // The network itself may fail at them, or give other numbers.
  expect_parts(check_error({{"detector", kRecogniser}}), {"rec_infer"});
  expect_parts(check_error({{"recogniser", kDetector}}),
               {"det_infer", "no list of characters", "ocr.json"});
  write_file_atomic(*folder_ / "few.txt", "a\nb\n");
  expect_parts(check_error({{"characters", "few.txt"}}),
               {"[1,T,4]", "the list has 2"});
  expect_parts(check_error({{"characters", "none.txt"}}),
               {"none.txt", "no file"});
  const auto whole = read_file(*folder_ / kDetector);
  write_file_atomic(*folder_ / "short.onnx", whole.substr(0, whole.size() / 2));
  expect_parts(check_error({{"detector", "short.onnx"}}),
               {"short.onnx", "cut short"});
}

TEST(OcrSettingsOf, AFolderOrAFile) {
  const TemporaryFolder folder;
  const auto usual = read_ocr_settings(folder.path());
  EXPECT_EQ(usual.detector, folder / "ch_PP-OCRv4_det_infer.onnx");
  EXPECT_EQ(usual.side, 736);
  EXPECT_EQ(usual.boxes.unclip, 1.6);
  write_json_atomic(folder / "own.json", {{"recogniser", "en.onnx"},
                                          {"characters", "en.txt"},
                                          {"dilate", false},
                                          {"box_threshold", 0.6}});
  EXPECT_EQ(network_places("ocr:" + (folder / "own.json")),
            (std::vector<std::string>{folder / "own.json",
                                      folder / "ch_PP-OCRv4_det_infer.onnx",
                                      folder / "en.onnx", folder / "en.txt"}));
  EXPECT_FALSE(read_ocr_settings(folder / "own.json").boxes.dilate);
  write_json_atomic(folder / "own.json", {{"recognizer", "en.onnx"}});
  expect_parts(error_of([&] { read_ocr_settings(folder / "own.json"); }),
               {"own.json", "\"recognizer\"", "recogniser"});
  EXPECT_THROW(make_any_reward(spec_of("ocr:"), kNeverStops), UsageError);
}

}  // namespace
}  // namespace rsm
