#include "rsm/train/collector.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "rsm/base/error.h"
#include "rsm/data/prompts.h"
#include "rsm/estimators/picture_groups.h"
#include "rsm/io/testing.h"
#include "rsm/rewards/testing.h"
#include "rsm/rewards/win_rate_reward.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/runs/pending_rollout.h"

namespace rsm {
namespace {

/** Mean of a picture, and of its prompt's length as a metric. */
class Mean : public Reward {
 public:
  explicit Mean(bool remote) : remote_(remote) {}
  std::string name() const override { return "mean"; }
  bool is_remote() const override { return remote_; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    const int call = ++calls;
    std::vector<float> length;
    for (const auto& prompt : prompts) {
      length.push_back(static_cast<float>(prompt.text.size()));
    }
    RewardScores out;
    out.value = images.mean({1, 2, 3});
    out.metrics["length"] = torch::tensor(length);
    out.parts = {{"mean", 1, out.value}};
    if (broken) throw Error("[mean] broken");
    if (fickle) out.metrics[cat("call ", call)] = out.value;
    return out;
  }
  mutable std::atomic<int> calls = 0;
  bool broken = false, fickle = false;

 private:
  bool remote_;
};

/** A few prompts of the shipped model. */
struct Setting {
  explicit Setting(const std::string& folder)
      : options(read_run_options(Config::parse(
            cat("name: test\nfolder: ", folder,
                "\nmodel: models/shapes-flow\n"
                "method: {name: tempflow-grpo, "
                "estimator: {branches: [2, 3, 0, 0]}}\n"
                "prompts: {per_epoch: 6, samples_per_prompt: 2}\n"
                "sampling: {steps: 4, guidance_scale: 1}\n"
                "compute: {rollout_tile: 8, train_tile: 8, threads: 2}\n"),
            "test.yaml"))),
        model(ImageModel::load(options.model)),
        plan(options.plan()),
        prompts(load_prompts(options.train_prompts)),
        policy(model.network, model.text->encode({""}), options.policy()) {}

  Collected collect(const Reward& reward) {
    Communicator sole;
    return Collector(options, *model.text, model, plan, reward, prompts, shape,
                     silent, sole)
        .collect(3, policy.copy(Copy::rollout), policy.copy(Copy::reference));
  }

  RunOptions options;
  ImageModel model;
  RolloutPlan plan;
  Prompts prompts;
  Policy policy;
  std::vector<int64_t> shape = model.latent_shape();
  NoProgress silent;
};

void expect_same(const Collected& a, const Collected& b) {
  EXPECT_TRUE(at::equal(a.scores.value, b.scores.value));
  EXPECT_TRUE(
      at::equal(a.scores.metrics.at("length"), b.scores.metrics.at("length")));
  EXPECT_TRUE(
      at::equal(a.scores.parts.at(0).value, b.scores.parts.at(0).value));
  expect_equal(a.rollout, b.rollout);
}

TEST(Collector, JudgingWhileDrawingGivesTheSameNumbers) {
  const TemporaryFolder folder;
  Setting setting(folder.path());
  const Mean direct(false), remote(true);
  const auto a = setting.collect(direct);
  const auto b = setting.collect(remote);
  expect_same(a, b);
  EXPECT_EQ(direct.calls, 1);
  EXPECT_GT(remote.calls, 1);
}

TEST(Collector, WhatWasDrawnBeforeAStopIsNotDrawnAgain) {
  const TemporaryFolder folder;
  Setting setting(folder.path());
  const Mean reward(true);  // which makes several parts of a rollout
  const auto looks_of = [&](int64_t last) {
    StopsAt progress(last);
    setting.policy.watch(&progress);
    try {
      setting.collect(reward);
    } catch (const Interrupted&) {
    }
    setting.policy.watch(nullptr);
    return progress.looks();
  };
  const auto whole = setting.collect(reward);
  const int64_t all = looks_of(int64_t{1} << 40);
  // Before the first part is whole nothing is kept.
  looks_of(0);
  EXPECT_EQ(folder.entries(), 0);
  int64_t before = 0;
  for (const int64_t last : {all / 2, all / 4}) {
    looks_of(last);
    NoProgress silent;
    auto room = whole.rollout;
    for (auto* tensor : {&room.x, &room.y, &room.x_next, &room.latents}) {
      *tensor = tensor->clone();
    }
    const int64_t kept = load_pending(folder.path(), 3, room, silent);
    EXPECT_GT(kept, before);
    before = kept;
    EXPECT_LT(kept, setting.options.prompts_per_epoch);
    EXPECT_LT(room.evaluations, whole.rollout.evaluations);
  }
  expect_same(whole, setting.collect(reward));
  EXPECT_LT(looks_of(int64_t{1} << 40), all);
}

TEST(Collector, KeepsTheRolloutOfAFailedRewardForTheNextTime) {
  for (const bool remote : {false, true}) {
    const TemporaryFolder folder;
    Setting setting(folder.path());
    Mean reward(remote);
    const auto whole = setting.collect(reward);
    const auto waiting = [&](int64_t epoch) {
      NoProgress silent;
      auto room = whole.rollout;
      return load_pending(folder.path(), epoch, room, silent);
    };
    reward.broken = true;
    expect_parts(error_of([&] { setting.collect(reward); }), {"broken"});
    EXPECT_FALSE(waiting(2));  // another epoch's
    reward.broken = false;
    reward.calls = 0;
    const auto again = setting.collect(reward);
    EXPECT_EQ(reward.calls, 1);  // all at once: nothing is left to draw
    expect_same(whole, again);
    remove_pending(folder.path(), 2);
    EXPECT_TRUE(waiting(3));
    remove_pending(folder.path(), 3);
    EXPECT_FALSE(waiting(3));
  }
}

TEST(Collector, KeepsTheRolloutWhosePartsWereScoredByOtherMetrics) {
  const TemporaryFolder folder;
  Setting setting(folder.path());
  Mean reward(true);
  const auto whole = setting.collect(reward);
  reward.fickle = true;
  expect_parts(error_of([&] { setting.collect(reward); }), {"reward mean"});
  EXPECT_TRUE(is_file(folder / "pending-rollout.safetensors"));
  reward.fickle = false;
  expect_same(whole, setting.collect(reward));
}

TEST(Collector, GivesRewardsWholeGroupsHoweverItIsChunked) {
  const auto rates = [](bool remote) {
    return make_win_rate_reward(std::make_unique<Mean>(remote));
  };
  const TemporaryFolder folder;
  Setting setting(folder.path());
  const auto direct = setting.collect(*rates(false));
  const auto remote = setting.collect(*rates(true));  // in parts
  EXPECT_TRUE(direct.scores.value.equal(remote.scores.value));
  const auto alone = setting.collect(Mean(false));
  EXPECT_TRUE(direct.scores.metrics.at("mean").equal(alone.scores.value));
  const auto groups =
      picture_groups(alone.rollout, setting.options.method.estimator);
  // Two roots of each of six prompts, and two steps that branch.
  EXPECT_EQ(*std::max_element(groups.begin(), groups.end()), 6 * 2 * 2 - 1);
  EXPECT_TRUE(direct.scores.value.equal(win_rates(alone.scores.value, groups)));
  EXPECT_FALSE(
      direct.scores.value.equal(at::full_like(direct.scores.value, 0.5)));
  // What waits for a reward that is mended is judged in the same groups.
  Mean broken(false);
  broken.broken = true;
  error_of([&] { setting.collect(broken); });
  const auto again = setting.collect(*rates(true));
  EXPECT_TRUE(direct.scores.value.equal(again.scores.value));
}

}  // namespace
}  // namespace rsm
