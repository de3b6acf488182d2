#include "rsm/judges/onnx_reward.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/judge_memory.h"
#include "rsm/judges/onnx_testing.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

/** The peer's networks, written once a process: ctest starts one a test. */
class OnnxJudge : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_safetensors(*folder_ / "images.safetensors",
                      {{"images", pictures().images}});
    run_python("onnx_peer.py", "'" + folder_->path() + "'");
    peer_ = read_safetensors(*folder_ / "peer.safetensors").tensors;
  }
  static void TearDownTestSuite() {
    folder_.reset();
    peer_.clear();
  }

  static TestPictures pictures() { return test_pictures(3, 20, 20); }
  static std::string file(const std::string& name) { return *folder_ / name; }

  static std::unique_ptr<Reward> made(const std::string& name,
                                      int64_t threads = 2) {
    auto spec = spec_of("onnx:" + file(name));
    spec.threads = threads;
    return make_any_reward(spec, kNeverStops);
  }
  static std::string check_error(const std::string& name) {
    const auto reward = made(name);
    const auto error = error_of([&] { reward->check(); });
    expect_parts(error, {"[reward onnx:" + file(name) + "]"});
    return error;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static StateDict peer_;
};
std::unique_ptr<TemporaryFolder> OnnxJudge::folder_;
StateDict OnnxJudge::peer_;

TEST_F(OnnxJudge, GivesTheNumbersOfOnnxRuntime) {
  RSM_NEEDS_ONNX();
  const auto asked = pictures();
  for (const auto& [name, wanted] :
       {std::pair{"open.onnx", "open"}, std::pair{"four.onnx", "open"},
        std::pair{"fixed.onnx", "fixed"},
        std::pair{"settings.json", "settings"}, std::pair{"two.json", "two"}}) {
    SCOPED_TRACE(name);
    const auto reward = made(name);
    reward->check();
    EXPECT_FALSE(reward->is_differentiable());
    const auto value = score(*reward, asked).value;
    EXPECT_EQ(value.sizes(), at::IntArrayRef({3}));
    // Sums of some hundred products in float32, in another order.
    EXPECT_LT(relative(value, peer_.at(wanted)), kFloatTolerance);
    expect_each_picture_alone(*reward, asked);
    EXPECT_EQ(reward->score(asked.images.narrow(0, 0, 0), {}).value.numel(), 0);
  }
  // What the settings say counts.
  EXPECT_GT(relative(peer_.at("settings"), peer_.at("fixed")), 0.1);
}

TEST_F(OnnxJudge, GivesTheSameBitsOnAnyNumberOfThreads) {
  RSM_NEEDS_ONNX();
  const auto asked = test_pictures(9, 20, 20);
  const auto once = score(*made("open.onnx", 1), asked).value;
  for (const int64_t threads : {2, 3}) {
    const auto reward = made("open.onnx", threads);
    for (const auto& again : score_at_once(*reward, asked)) {
      EXPECT_TRUE(again.value.equal(once)) << threads;
    }
  }
}

TEST_F(OnnxJudge, IsCheckedBeforeARun) {
  RSM_NEEDS_ONNX();
  expect_parts(check_error("log.onnx"),
               {"score of a black picture", "not finite", "log.onnx"});
  expect_parts(check_error("pair.onnx"), {"scores [1, 3]", "[1]"});
  expect_parts(check_error("count.onnx"), {"Long", "floating point"});
  expect_parts(check_error("grey.onnx"), {"takes [?,1,?,?]", "[B,3,H,W]"});
  expect_parts(check_error("two.onnx"),
               {"2 tensors", "other, scores", "output"});
  // Files of other kinds.
  expect_parts(check_error("none.onnx"), {"no file", "torch.onnx.export"});
  expect_parts(check_error("pickle.onnx"), {"pickle", "any code"});
  const std::string whole = read_file(file("open.onnx"));
  write_file_atomic(file("short.onnx"), whole.substr(0, whole.size() / 2));
  expect_parts(check_error("short.onnx"),
               {"cannot be read as ONNX", "cut short", "docs/rewards.md"});
  write_file_atomic(file("text.onnx"), "import torch\n");
  expect_parts(check_error("text.onnx"), {"cannot be read as ONNX"});
  write_file_atomic(file("empty.onnx"), "");
  expect_parts(check_error("empty.onnx"), {"takes 0 tensors"});
}

TEST_F(OnnxJudge, SettingsAreStrict) {
  const auto error = [&](const nlohmann::json& settings) {
    write_json_atomic(file("own.json"), settings);
    return error_of([&] { read_onnx_settings(file("own.json")); });
  };
  expect_parts(error({{"size", 8}}), {"own.json", "network", "missing"});
  expect_parts(error({{"network", "a"}, {"means", {0, 0, 0}}}),
               {"\"means\"", "did you mean \"mean\""});
  expect_parts(error({{"network", "a"}, {"std", {1, 0, 1}}}),
               {"std", "three numbers above 0"});
  expect_parts(error({{"network", "a"}, {"mean", {1, 2}}}),
               {"mean", "three numbers"});
  expect_parts(error({{"network", "a"}, {"channels", "gbr"}}), {"gbr", "rgb"});
  write_json_atomic(
      file("own.json"),
      {{"network", "fixed.onnx"}, {"size", 9}, {"output", "sum"}});
  EXPECT_EQ(read_onnx_settings(file("own.json")).network, file("fixed.onnx"));
  EXPECT_THROW(make_any_reward(spec_of("onnx"), kNeverStops), UsageError);
  if (!has_onnx()) return;
  expect_parts(check_error("own.json"), {"size 9", "[1,3,16,12]"});
  write_json_atomic(file("own.json"),
                    {{"network", "open.onnx"}, {"output", "sum"}});
  expect_parts(check_error("own.json"), {"output", "\"sum\"", "scores"});
}

TEST_F(OnnxJudge, ItsFilesAreWhatARunRestsOn) {
  EXPECT_EQ(network_places("onnx:" + file("open.onnx")),
            (std::vector<std::string>{file("open.onnx"), file("open.onnx.data"),
                                      file("open.onnx_data")}));
  EXPECT_EQ(network_places("onnx:" + file("two.json")).at(1), file("two.onnx"));
  EXPECT_EQ(judge_memory(spec_of("onnx:" + file("open.onnx")), 4).weights,
            read_file(file("open.onnx")).size());
}

TEST(OnnxJudgeOfFirstOrder, RefusesToBeFollowed) {
  const auto reward = make_any_reward(spec_of("onnx:a.onnx"), kNeverStops);
  expect_parts(error_of([&] { reward->value_of({}, {}); }),
               {"[reward onnx:a.onnx]", "no gradient"});
  if (has_onnx()) return;
  expect_parts(error_of([&] { reward->check(); }),
               {"without OpenVINO", "make setup"});
}

}  // namespace
}  // namespace rsm
