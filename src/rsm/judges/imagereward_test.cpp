// The export of ImageReward in docs/examples, on a small random one.

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/testing.h"

namespace rsm {
namespace {

TEST(ImageRewardExample, JudgesAsTransformersClassesDo) {
  const TemporaryFolder out;
  run_python("imagereward_peer.py", "'" + out.path() + "'");
  const auto peer = read_safetensors(out / "peer.safetensors").tensors;
  Prompts prompts;
  for (const auto& text :
       parse_json("prompts", read_file(out / "prompts.json"))) {
    prompts.push_back({std::ssize(prompts), text.get<std::string>(), ""});
  }
  const NoProgress silent;
  auto spec = spec_of("torchscript:" + (out / "imagereward.pt"));
  spec.gradient = true;
  const auto reward = make_any_reward(spec, silent);
  reward->check();
  const auto& images = peer.at("images");
  const auto scores = reward->score(images, prompts).value;
  EXPECT_TRUE(scores.allclose(peer.at("scores"), 1e-3, 1e-4));
  EXPECT_GT(scores.std().item<double>(), 0.01);
  const auto leaf = images.clone().requires_grad_(true);
  const auto gradient =
      torch::autograd::grad({reward->value_of(leaf, prompts).sum()}, {leaf})[0];
  const auto& known = peer.at("gradient");
  EXPECT_LT((gradient - known).norm().item<double>(),
            1e-3 * known.norm().item<double>());
  // Alone with a gradient it is one row, in a run eight.
  const auto one = leaf.slice(0, 2, 3);
  EXPECT_NEAR(reward->value_of(one, {prompts[2]}).item<double>(),
              peer.at("scores")[2].item<double>(), 1e-2);
}

}  // namespace
}  // namespace rsm
