#include "rsm/judges/tesseract_ocr.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/ocr_score.h"
#include "rsm/judges/ocr_testing.h"
#include "rsm/judges/testing.h"

namespace rsm {
namespace {

constexpr int64_t kFew = 6;  // pictures, a tenth of a second each

std::string data_of_english() {
  const TemporaryFolder none;
  auto settings = read_ocr_settings(none.path());
  return settings.language_files().front();
}

/** Threads on which LibTorch computes for this one. */
size_t threads_of_torch() {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  at::parallel_for(0, 1000, 1, [&](int64_t, int64_t) {
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  return threads.size();
}

/** The peer's pictures, once a process, and the engine by its key. */
class TesseractJudge : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!has_tesseract() || !is_file(data_of_english())) return;
    signs_ = std::make_unique<OcrSigns>("drawn");
  }
  static void TearDownTestSuite() { signs_.reset(); }
  void SetUp() override {
    if (!has_tesseract()) {
      GTEST_SKIP() << "built without Tesseract: `make setup` installs it";
    }
    if (!is_file(data_of_english())) {
      GTEST_SKIP() << "there is no " << data_of_english()
                   << ": `make setup` installs it";
    }
  }

  static inline const auto kUsual = nlohmann::json::object();
  static std::unique_ptr<Reward> made(const nlohmann::json& more = kUsual,
                                      int64_t threads = 2) {
    nlohmann::json all = {{"engine", "tesseract"}};
    all.update(more);
    write_json_atomic(signs_->folder / "ocr.json", all);
    auto spec = spec_of("ocr:" + signs_->folder.path());
    spec.threads = threads;
    return make_any_reward(spec, kNeverStops);
  }
  static std::string check_error(const nlohmann::json& more) {
    const auto reward = made(more);
    const auto error = error_of([&] { reward->check(); });
    expect_parts(error, {"[reward ocr:" + signs_->folder.path() + "]"});
    return error;
  }

  static std::unique_ptr<OcrSigns> signs_;
};
std::unique_ptr<OcrSigns> TesseractJudge::signs_;

TEST_F(TesseractJudge, ReadsWhatIsWritten) {
  const auto reward = made();
  reward->check();
  EXPECT_FALSE(reward->is_differentiable());
  EXPECT_EQ(reward->main_metric(), "tesseract");
  // What is asked for is what stands there.
  auto right = signs_->pictures;
  auto wrong = right;
  for (size_t i = 0; i < right.prompts.size(); ++i) {
    right.prompts[i].text = "\"" + signs_->signs[i].text + "\"";
    wrong.prompts[i].text = "\"xxxxxxxx\"";
  }
  const auto found = score(*reward, right);
  EXPECT_EQ(found.metrics.size(), 2U);
  EXPECT_TRUE(found.metrics.at("tesseract").equal(found.value));
  EXPECT_TRUE(
      found.metrics.at("exact").equal(found.value.eq(1).to(at::kFloat)));
  // Level text on plain ground is nearly always read, letter by letter; one
  // that is slanted by 15 degrees or on stripes of its own width may not be.
  const auto easy = signs_->where(
      [](const OcrSign& sign) { return sign.plain && sign.level; });
  ASSERT_GE(easy.numel(), 15);
  EXPECT_GT(found.value.index_select(0, easy)
                .eq(1)
                .to(at::kFloat)
                .mean()
                .item<double>(),
            0.85);
  EXPECT_GT(found.value.mean().item<double>(), 0.75);
  // Nobody has written this.
  TestPictures some = signs_->first(kFew);
  some.prompts = {wrong.prompts.begin(), wrong.prompts.begin() + kFew};
  EXPECT_LT(score(*reward, some).value.max().item<double>(), 0.2);
}

TEST_F(TesseractJudge, JudgesEachPictureAlone) {
  const auto some = signs_->first(kFew);
  expect_each_picture_alone(*made(), some);
  const auto one = score(*made(kUsual, 1), some).value;
  const auto reward = made(kUsual, 3);
  for (const auto& scores : score_at_once(*reward, some)) {
    EXPECT_TRUE(scores.value.equal(one));
  }
  // LibTorch's own threads are left as they were.
  const size_t cores = threads_of_torch();
  reward->check();
  EXPECT_EQ(threads_of_torch(), cores);
  // What is not sure enough is left out, and nothing is read of nothing.
  EXPECT_TRUE(
      score(*made({{"confidence", 1}}), some).value.equal(at::zeros({kFew})));
  auto empty = signs_->first(2);
  empty.images =
      at::cat({at::full({1, 3, 64, 80}, 0.5F), at::zeros({1, 3, 64, 80})});
  EXPECT_TRUE(score(*reward, empty).value.equal(at::zeros({2})));
}

TEST_F(TesseractJudge, DataThatAreMissingOrBrokenAreNamed) {
  const auto& folder = signs_->folder;
  expect_parts(check_error({{"language", "eng+xyz"}}),
               {"xyz.traineddata", "\"xyz\"", "has those of: ", "eng",
                "tesseract-ocr-xyz", "`data`"});
  expect_parts(check_error({{"data", "none"}}),
               {folder / "none/eng.traineddata", "has those of: none"});
  const auto whole = read_file(data_of_english());
  write_file_atomic(folder / "eng.traineddata",
                    whole.substr(0, whole.size() / 2));
  expect_parts(check_error({{"data", "."}}),
               {"cannot read", "eng.traineddata", "cut short"});
  write_file_atomic(folder / "eng.traineddata", whole);
  made({{"data", "."}})->check();
}

TEST(TesseractOcr, SaysWhereItIsMissing) {
  if (has_tesseract()) GTEST_SKIP() << "built with Tesseract";
  expect_parts(error_of([] { TesseractOcr("reward ocr", {}, 1); }),
               {"[reward ocr]", "built without", "libtesseract-dev", "pp-ocr"});
}

}  // namespace
}  // namespace rsm
