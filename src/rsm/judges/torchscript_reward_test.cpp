#include "rsm/judges/torchscript_reward.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** The peer's modules, exported once for all tests. */
class TorchScript : public OnDevice {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    write_word_vocabulary(*folder_ / "tokenizer",
                          {"red", "blue", "circle", "squares", "two"}, 16);
    write_safetensors(*folder_ / "images.safetensors",
                      {{"images", pictures().images}});
    run_python("torchscript_peer.py",
               folder_->path() + " " RSM_SOURCE_DIR
                                 "/docs/examples/torchscript_reward.py");
    peer_ = read_safetensors(*folder_ / "peer.safetensors").tensors;
  }
  static void TearDownTestSuite() {
    folder_.reset();
    peer_.clear();
  }

  static TestPictures pictures() {
    auto out = test_pictures(3, 20, 20);
    const char* const texts[] = {"a red circle", "two blue squares", ""};
    for (size_t i = 0; i < 3; ++i) out.prompts[i].text = texts[i];
    return out;
  }
  static std::string file(const std::string& name) {
    return *folder_ / (name + ".pt");
  }

  std::unique_ptr<Reward> made(const std::string& name, bool gradient = false,
                               const std::string& type = "float32") const {
    auto spec = spec_of("torchscript:" + file(name));
    spec.device = GetParam();
    spec.type = type;
    spec.gradient = gradient;
    return make_any_reward(spec, kNeverStops);
  }
  std::string check_error(const std::string& name, bool gradient = false) {
    const auto reward = made(name, gradient);
    const auto error = error_of([&] { reward->check(); });
    expect_parts(error, {"[reward torchscript:" + file(name) + "]"});
    return error;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  static StateDict peer_;
};
std::unique_ptr<TemporaryFolder> TorchScript::folder_;
StateDict TorchScript::peer_;
RSM_ON_EVERY_DEVICE(TorchScript);

TEST_P(TorchScript, GivesTheNumbersOfPython) {
  at::set_num_threads(1);
  const double tolerance = device().is_cpu() ? kFloatTolerance : 1e-2;
  const auto asked = pictures();
  for (const std::string name :
       {"traced", "scripted", "frozen", "ids", "words", "small"}) {
    SCOPED_TRACE(name);
    const auto reward = made(name, true);
    reward->check();
    EXPECT_TRUE(reward->is_differentiable());
    const auto value = score(*reward, asked).value;
    EXPECT_LT(relative(value, peer_.at(name + ".value")), tolerance);
    const auto leaf = asked.images.clone().requires_grad_(true);
    const auto followed = reward->value_of(leaf, asked.prompts);
    if (repeats_its_bits()) {
      EXPECT_TRUE(followed.detach().equal(value));
      EXPECT_TRUE(score(*reward, asked).value.equal(value));
    }
    followed.sum().backward();
    EXPECT_LT(relative(leaf.grad(), peer_.at(name + ".gradient")), tolerance);
    if (repeats_its_bits()) expect_each_picture_alone(*reward, asked);
  }
}

TEST_P(TorchScript, ComputesInTheTypeOfTheConfig) {
  const auto reward = made("scripted", true, "bfloat16");
  reward->check();
  const auto value = score(*reward, pictures()).value;
  const auto wide = peer_.at("scripted.value");
  EXPECT_EQ(value.scalar_type(), at::kFloat);
  EXPECT_LT(relative(value, wide), 2e-2);  // 8 bits
  EXPECT_FALSE(value.equal(wide));
}

TEST_P(TorchScript, TheDocsExampleIsOne) {
  const auto reward = made("example", true);
  reward->check();
  const auto asked = pictures();
  const auto means = asked.images.mean({2, 3});
  const auto wanted = (means.select(1, 0) - means.select(1, 2)) / 3;
  EXPECT_LT((score(*reward, asked).value - wanted).abs().max().item<double>(),
            1e-5);
}

TEST_P(TorchScript, IsCheckedBeforeARun) {
  expect_parts(check_error("wrong0"),
               {"score of a black picture", "not finite"});
  expect_parts(check_error("wrong1"), {"scores [8, 2]", "[8]"});
  expect_parts(check_error("wrong2", true), {"carry no gradient"});
  made("wrong2")->check();
  expect_parts(check_error("wrong3"), {"Long", "floating point"});
  made("wrong4")->check();
  expect_parts(check_error("wrong4", true),
               {"gradient of a black picture", "not finite"});
  expect_parts(check_error("wrong5"), {"a mistake of its own", "[8, 3,"});
  expect_parts(check_error("pair"), {"returns a Tuple"});
  expect_parts(check_error("number"), {"float weight", "allowed", "List[str]"});
  expect_parts(check_error("one"), {"scores [1]", "[8]"});
  expect_parts(check_error("two"), {"scores [2]", "[8]"});
}

TEST_P(TorchScript, ConstantsOnAnotherDeviceAreNamed) {
  const bool here = device().is_cpu();
  made(here ? "held_cpu" : "held_cuda")->check();
  expect_parts(
      check_error(here ? "held_cuda" : "held_cpu"),
      {"fails at pictures [8, 3, 224, 224]", here ? " on cpu: " : " on cuda",
       "traced for another", "or device"});
  if (here) {
    expect_parts(check_error("held_cuda"), {"'CUDA' backend"});
  }
}

TEST_P(TorchScript, FilesOfOtherKindsAreRefused) {
  expect_parts(check_error("none"), {"no file", "torch.jit"});
  expect_parts(check_error("pickle"), {"cannot be read as TorchScript",
                                       "torch.save()", "docs/rewards.md"});
  const std::string whole = read_file(file("traced"));
  write_file_atomic(file("short"), whole.substr(0, whole.size() / 2));
  expect_parts(check_error("short"), {"cannot be read", "cut short"});
  write_file_atomic(file("text"), "import torch");
  expect_parts(check_error("text"), {"no TorchScript file", "zip"});
  write_file_atomic(file("empty"), "");
  expect_parts(check_error("empty"), {"no TorchScript file"});
}

TEST_P(TorchScript, RefusesPicturesThatTheNetworkDoesNotTake) {
  const auto reward = made("small");
  reward->check();
  const auto error = score_error(*reward, test_pictures(2, 24, 24));
  expect_parts(error, {"20 pixels are needed", "24, 24"});
  EXPECT_THROW(make_any_reward(spec_of("torchscript"), kNeverStops),
               UsageError);
}

}  // namespace
}  // namespace rsm
