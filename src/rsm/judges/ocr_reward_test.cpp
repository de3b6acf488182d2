#include "rsm/judges/ocr_reward.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/ocr_score.h"
#include "rsm/judges/ocr_settings.h"
#include "rsm/judges/ocr_testing.h"
#include "rsm/judges/onnx_testing.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

/** Pixels of a side to which pictures are enlarged where a test asks for
 * nothing that the usual 736 would change: a tenth of the time. */
constexpr int64_t kSmallSide = 256;
constexpr const char* kOcrDetector = "models/ch_PP-OCRv4_det_infer.onnx";
constexpr const char* kOcrRecogniser = "models/ch_PP-OCRv4_rec_infer.onnx";

/** The peer's pictures and networks, once a process. */
class OcrJudge : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!has_onnx()) return;
    signs_ = std::make_unique<OcrSigns>("");
  }
  static void TearDownTestSuite() { signs_.reset(); }
  void SetUp() override { RSM_NEEDS_ONNX(); }

  static std::string folder() { return signs_->folder.path(); }
  static std::string place(const std::string& name) {
    return signs_->folder / name;
  }

  /** With settings of ocr.json beside those that are needed here. */
  static std::unique_ptr<Reward> made(const json& more = json::object()) {
    json all = {{"detector", kOcrDetector}, {"recogniser", kOcrRecogniser}};
    all.update(more);
    write_json_atomic(place("ocr.json"), all);
    auto spec = spec_of("ocr:" + folder());
    spec.threads = 2;
    return make_any_reward(spec, kNeverStops);
  }
  static std::string check_error(const json& more) {
    const auto reward = made(more);
    const auto error = error_of([&] { reward->check(); });
    expect_parts(error, {"[reward ocr:" + folder() + "]"});
    return error;
  }

  static std::unique_ptr<OcrSigns> signs_;
};
std::unique_ptr<OcrSigns> OcrJudge::signs_;

TEST_F(OcrJudge, ScoresWhatRapidOcrReads) {
  const auto reward = made();
  reward->check();
  EXPECT_FALSE(reward->is_differentiable());
  EXPECT_EQ(reward->main_metric(), "pp-ocr");
  const auto found = score(*reward, signs_->pictures);
  const auto value = found.value.to(at::kDouble);
  const auto& theirs = signs_->scores;
  ASSERT_EQ(theirs.numel(), 60);
  // All sixty were equal at first; sums in another order may read a letter
  // otherwise here and there.
  EXPECT_LT((value - theirs).abs().mean().item<double>(), 0.01);
  EXPECT_LT((value.mean() - theirs.mean()).abs().item<double>(), 0.01);
  // On plain and on textured ground, in each size.
  for (const bool plain : {true, false}) {
    const auto which =
        signs_->where([&](const OcrSign& sign) { return sign.plain == plain; });
    ASSERT_EQ(which.numel(), 30);
    EXPECT_LT(
        (value - theirs).index_select(0, which).abs().mean().item<double>(),
        0.02);
    for (const int64_t size : {18, 24, 32, 44}) {
      EXPECT_GE(signs_
                    ->where([&](const OcrSign& sign) {
                      return sign.plain == plain && sign.size == size;
                    })
                    .numel(),
                6);
    }
  }
  // The peer reads most of them, and not those that are not there.
  EXPECT_GT(theirs.eq(1).sum().item<int64_t>(), 40);
  EXPECT_LT(theirs.min().item<double>(), 0.2);
  EXPECT_TRUE(found.metrics.at("pp-ocr").equal(found.value));
  EXPECT_TRUE(
      found.metrics.at("exact").equal(found.value.eq(1).to(at::kFloat)));
}

TEST_F(OcrJudge, CountsTheEditsThatThePeerCounts) {
  for (size_t i = 0; i < signs_->signs.size(); ++i) {
    const auto& sign = signs_->signs[i];
    EXPECT_EQ(ocr_score(sign.read, sign.asked),
              signs_->scores[static_cast<int64_t>(i)].item<double>())
        << sign.read << " for " << sign.asked;
  }
}

TEST_F(OcrJudge, JudgesEachPictureAlone) {
  const auto reward = made({{"side", kSmallSide}});
  // The same bits, in another order and for other threads.
  expect_each_picture_alone(*reward, signs_->first(4));
  // Nothing is read where nothing is sure enough.
  auto asked = signs_->first(2);
  const auto drawn = asked.images;
  asked.images =
      at::cat({at::full({1, 3, 64, 80}, 0.5F), at::zeros({1, 3, 64, 80})});
  EXPECT_TRUE(score(*reward, asked).value.equal(at::zeros({2})));
  asked.images = drawn;
  EXPECT_TRUE(score(*made({{"side", kSmallSide}, {"box_threshold", 1}}), asked)
                  .value.equal(at::zeros({2})));
  // Prompts that quote nothing are named.
  asked.prompts[1].text = "a sign";
  expect_parts(score_error(*reward, asked), {"\"a sign\"", "double quotes"});
  expect_parts(error_of([&] { reward->check_inputs(asked.prompts, 64, 80); }),
               {"\"a sign\"", "double quotes"});
}

TEST_F(OcrJudge, WrongFilesAreRefusedBeforeARun) {
  expect_parts(check_error({{"detector", "none.onnx"}}),
               {"no file", "none.onnx"});
  // The network itself may fail at them, or give other numbers.
  expect_parts(check_error({{"detector", kOcrRecogniser}}), {"rec_infer"});
  expect_parts(check_error({{"recogniser", kOcrDetector}}),
               {"det_infer", "no list of characters", "ocr.json"});
  write_file_atomic(place("few.txt"), "a\nb\n");
  expect_parts(check_error({{"characters", "few.txt"}}),
               {"[1,T,4]", "the list has 2"});
  expect_parts(check_error({{"characters", "none.txt"}}),
               {"none.txt", "no file"});
  const auto whole = read_file(place(kOcrDetector));
  write_file_atomic(place("short.onnx"), whole.substr(0, whole.size() / 2));
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
  // Each engine has keys of its own.
  EXPECT_EQ(usual.engine, "pp-ocr");
  write_json_atomic(
      folder / "own.json",
      {{"engine", "tesseract"}, {"language", "eng+deu"}, {"data", "words"}});
  EXPECT_EQ(network_places("ocr:" + (folder / "own.json")),
            (std::vector<std::string>{folder / "own.json",
                                      folder / "words/eng.traineddata",
                                      folder / "words/deu.traineddata"}));
  write_json_atomic(folder / "own.json",
                    {{"engine", "tesseract"}, {"dilate", false}});
  expect_parts(error_of([&] { read_ocr_settings(folder / "own.json"); }),
               {"own.json", "\"dilate\"", "language"});
  write_json_atomic(folder / "own.json",
                    {{"engine", "tesseract"}, {"language", "+"}});
  expect_parts(error_of([&] { read_ocr_settings(folder / "own.json"); }),
               {"own.json", "language", "eng+deu"});
  write_json_atomic(folder / "own.json", {{"engine", "teseract"}});
  expect_parts(error_of([&] { read_ocr_settings(folder / "own.json"); }),
               {"own.json", "engine", "did you mean \"tesseract\""});
  EXPECT_THROW(make_any_reward(spec_of("ocr:"), kNeverStops), UsageError);
}

}  // namespace
}  // namespace rsm
