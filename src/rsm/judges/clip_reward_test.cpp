#include "rsm/judges/clip_reward.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/testing.h"
#include "rsm/rewards/gradient_testing.h"
#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** Some, of a shape of their own; their sizes are not those of the tower. */
TestPictures pictures(int64_t height = 20, int64_t width = 26) {
  auto out = test_pictures(9, height, width);
  const std::vector<std::string> texts = {"a red circle", "two blue squares",
                                          "",
                                          "a circle, a circle, and a long "
                                          "text of more than sixteen tokens"};
  for (size_t i = 0; i < out.prompts.size(); ++i) {
    out.prompts[i].text = texts[i % texts.size()];
  }
  return out;
}

std::unique_ptr<Reward> made(const std::string& name,
                             const std::string& device = "cpu",
                             const std::string& type = "float32") {
  auto spec = spec_of(name);
  spec.device = device;
  spec.type = type;
  return make_any_reward(spec, kNeverStops);
}

class ClipRewardOn : public OnDevice {
 protected:
  std::unique_ptr<Reward> made(const std::string& name) const {
    return rsm::made(name, GetParam());
  }
};
RSM_ON_EVERY_DEVICE(ClipRewardOn);

TEST_P(ClipRewardOn, IsWhatTransformersComputesOfBothLayouts) {
  const TemporaryFolder out;
  write_small_clip(out / "clip");
  const auto asked = pictures();
  write_safetensors(out / "inputs.safetensors", {{"images", asked.images}});
  write_json_atomic(out / "prompts.json", texts_of(asked.prompts));
  run_python("clip_reward_peer.py", out.path());
  const auto peer = read_safetensors(out / "peer.safetensors").tensors;
  const std::map<std::string, std::string> kinds = {
      {"aesthetic", "aesthetic"},
      {"clip-score", "clip_score"},
      {"pick-score", "pick_score"},
      {"hps-v2", "hps"},
      {"hps-v2.1", "hps"}};
  // float32, and after a resizing of both.
  const double tolerance = device().is_cpu() ? 5e-5 : 2e-3;
  for (const std::string place : {"clip", "clip/model.safetensors", "open",
                                  "open/open_clip_model.safetensors"}) {
    for (const auto& [name, theirs] : kinds) {
      SCOPED_TRACE(cat(name, " of ", place));
      const auto reward = made(cat(name, ":", out / place));
      reward->check();
      EXPECT_LT(
          relative(score(*reward, asked).value, peer.at(theirs + ".value")),
          tolerance);
      const auto leaf = asked.images.clone().requires_grad_(true);
      reward->value_of(leaf, asked.prompts).sum().backward();
      EXPECT_LT(relative(leaf.grad(), peer.at(theirs + ".gradient")),
                tolerance);
    }
  }
  // bfloat16 has 8 bits, and a cosine is a difference of sums.
  const auto half =
      rsm::made(cat("clip-score:", out / "half"), GetParam(), "bfloat16");
  EXPECT_LT((score(*half, asked).value - peer.at("half.value"))
                .abs()
                .max()
                .item<double>(),
            2e-2);
}

/** Values and gradients, without Python. */
TEST_P(ClipRewardOn, GradientIsThatOfItsScore) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  write_small_clip(folder.path());
  const auto asked = pictures(12, 12);
  for (const std::string name : {"aesthetic", "pick-score", "hps-v2"}) {
    const auto reward = made(cat(name, ":", folder.path()));
    EXPECT_TRUE(reward->is_differentiable());
    const auto leaf = asked.images.to(device()).clone().requires_grad_(true);
    const auto value = reward->value_of(leaf, asked.prompts);
    EXPECT_EQ(value.device().type(), device().type());
    if (repeats_its_bits()) {
      EXPECT_TRUE(value.detach().equal(score(*reward, asked).value)) << name;
    }
    value.sum().backward();
    const auto of = [&](const torch::Tensor& images) {
      return reward->value_of(images.to(device()), asked.prompts).cpu();
    };
    // Rounding over a step of a hundredth; a GPU rounds to fewer bits.
    EXPECT_LT(slope_error(of, asked.images, leaf.grad().cpu(), 1e-2),
              device().is_cpu() ? 1e-3 : 3e-2)
        << name;
  }
}

TEST(ClipReward, JudgesEachPictureAloneByItsOwnPrompt) {
  at::set_num_threads(1);
  const TemporaryFolder folder;
  write_small_clip(folder.path());
  const auto asked = pictures();
  for (const std::string name : {"aesthetic", "clip-score", "hps-v2.1"}) {
    const auto reward = made(cat(name, ":", folder.path()));
    EXPECT_EQ(reward->name(), cat(name, ":", folder.path()));
    expect_each_picture_alone(*reward, asked);
    auto other = asked;
    other.prompts[1].text = "a red square";
    const auto before = score(*reward, asked).value;
    const auto after = score(*reward, other).value;
    EXPECT_EQ(before[1].equal(after[1]), name == "aesthetic");
    EXPECT_TRUE(before.slice(0, 2).equal(after.slice(0, 2)));
    EXPECT_EQ(reward->value_of(at::empty({0, 3, 8, 8}), {}).size(0), 0);
  }
}

TEST(ClipReward, SaysWhatIsMissingAndHowToConvertAPickle) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& name, const std::string& place) {
    const auto reward = made(cat(name, ":", folder / place));
    return error_of([&] { reward->check(); });
  };
  expect_parts(
      error("aesthetic", "none"),
      {"[reward aesthetic:", "there is no folder or file", "docs/rewards.md"});
  expect_parts(error("hps-v2", "HPS_v2_compressed.pt"),
               {"HPS_v2_compressed.pt is a pickle", "save_file",
                "HPS_v2_compressed.safetensors"});
  fs::create_directories(folder / "old");
  write_file_atomic(folder / "old/pytorch_model.bin", "pickle");
  expect_parts(error("pick-score", "old"),
               {"pytorch_model.bin is a pickle", "weights_only=True"});
  // The weights, not a head beside them.
  write_file_atomic(folder / "old/sac.pth", "head");
  expect_parts(error("aesthetic", "old"), {"pytorch_model.bin is a pickle"});
  write_small_clip(folder / "clip");
  fs::remove(folder / "clip/head.safetensors");
  expect_parts(error("aesthetic", "clip"), {"no head", "head.safetensors"});
  write_safetensors(folder / "clip/head.safetensors",
                    {{"weight", at::zeros({1, 11})}, {"bias", at::zeros({1})}});
  expect_parts(error("aesthetic", "clip"), {"weight is [1, 11]", "[N,10]"});
  fs::remove_all(folder / "clip/tokenizer");
  expect_parts(error("clip-score", "clip"), {"tokenizer_config.json"});
  auto weights = read_safetensors(folder / "clip/model.safetensors").tensors;
  weights.erase("logit_scale");
  write_small_clip(folder / "clip");
  write_safetensors(folder / "clip/model.safetensors", weights);
  expect_parts(error("pick-score", "clip"), {"no tensor logit_scale"});
  weights.erase("visual_projection.weight");
  write_safetensors(folder / "clip/model.safetensors", weights);
  expect_parts(error("clip-score", "clip"), {"visual_projection.weight"});
  EXPECT_THROW(made("aesthetic:"), UsageError);
}

/** What the command that an error ends with writes: its last quoted word. */
std::string written_by(const std::string& error) {
  const size_t end = error.rfind('\'');
  const size_t begin = error.rfind('\'', end - 1) + 1;
  return error.substr(begin, end - begin);
}

TEST(ClipReward, WhatAPickleIsConvertedToIsReadThen) {
  const TemporaryFolder folder;
  const std::string pickle = "HPS_v2.1_compressed.pt";
  write_small_clip(folder / "hps");
  const std::string weights = folder / "hps/model.safetensors";
  fs::rename(weights, folder / "converted");
  write_file_atomic(folder / ("hps/" + pickle), "pickle");
  const auto converted = [&](const std::string& place) {
    const auto error =
        error_of([&] { made(cat("hps-v2.1:", place))->check(); });
    expect_parts(error, {pickle + " is a pickle", "convert it once"});
    const auto to = written_by(error);
    fs::copy_file(folder / "converted", to);
    return to;
  };
  // In a folder, the same config goes on.
  EXPECT_EQ(converted(folder / "hps"), weights);
  made(cat("hps-v2.1:", folder / "hps"))->check();
  fs::remove(weights);
  // A file is named anew.
  const auto file = converted(folder / ("hps/" + pickle));
  EXPECT_TRUE(file.ends_with("hps/HPS_v2.1_compressed.safetensors")) << file;
  made("hps-v2.1:" + file)->check();
}

TEST(ClipReward, HasNoDeviceThatIsNotThere) {
  const TemporaryFolder folder;
  write_small_clip(folder.path());
  const auto reward = made(cat("clip-score:", folder.path()), "cuda:99");
  EXPECT_THROW(reward->check(), UsageError);
}

}  // namespace
}  // namespace rsm
