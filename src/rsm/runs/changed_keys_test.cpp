#include "rsm/runs/changed_keys.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(ChangedKeys, NameWhatChangesNumbersOnly) {
  const std::string before = "train:\n  lr: 0.1\n  epochs: 3\nseed: 1\n";
  EXPECT_TRUE(changed_keys(before, before).empty());
  EXPECT_TRUE(changed_keys(before,
                           "train:\n  lr: 0.1\n  epochs: 9\nseed: 1\n"
                           "compute:\n  threads: 4\n")
                  .empty());
  const auto changed =
      changed_keys(before, "train:\n  lr: 0.2\n  epochs: 3\nextra: 1\n");
  ASSERT_EQ(changed.size(), 3u);
  EXPECT_EQ(changed[0], "seed: 1 -> (gone)");
  EXPECT_EQ(changed[1], "train.lr: 0.1 -> 0.2");
  EXPECT_EQ(changed[2], "extra: (absent) -> 1");
}

TEST(ChangedKeys, OfRewardsAreNamesTypesAndWeights) {
  const std::string plain = "reward: exec:judge\n";
  const std::string patient =
      "rewards:\n  - {name: 'exec:judge', weight: 1, timeout_seconds: 300}\n";
  EXPECT_TRUE(changed_keys(plain, patient).empty());
  EXPECT_TRUE(changed_keys(patient, plain).empty());
  for (const std::string other :
       {"rewards:\n  - {name: 'exec:judge', weight: 2}\n",
        "rewards:\n  - {name: 'exec:other', weight: 1}\n",
        "rewards:\n  - {name: 'exec:judge'}\n  - {name: shapes}\n",
        "rewards:\n  - {name: 'exec:judge', groups: true}\n",
        "rewards:\n  - {name: 'exec:judge', type: bfloat16}\n"}) {
    EXPECT_EQ(changed_keys(patient, other).size(), 1u) << other;
  }
  const std::string elsewhere =
      "rewards:\n  - {name: 'exec:judge', groups: false, type: float32, "
      "device: cuda}\n";
  EXPECT_TRUE(changed_keys(plain, elsewhere).empty());
}

TEST(ChangedKeys, WhereARunComputesAndWhatIsProvenElsewhereMayChange) {
  const std::string before = "model: a\ncompute:\n  device: cuda:0\n";
  const std::string after = "model: b\ncompute:\n  device: cuda:1\n";
  EXPECT_EQ(changed_keys(before, after),
            std::vector<std::string>{"model: a -> b"});
  EXPECT_TRUE(changed_keys(before, after, "", {"model"}).empty());
}

TEST(ChangedKeys, AKeyThatCameLaterIsWhatRunsDidWithoutIt) {
  const std::string before = "seed: 1\n", later = before + "compute: ";
  EXPECT_TRUE(changed_keys(before, later + "{training_type: float32, "
                                           "activation_checkpointing: true}\n")
                  .empty());
  EXPECT_EQ(changed_keys(before, later + "{training_type: bfloat16}\n").size(),
            1u);
  const std::string gradient = before + "method: {estimator: {gradient: {";
  EXPECT_TRUE(
      changed_keys(before, gradient + "jitter: 0, particles: 1}}}\n").empty());
  EXPECT_EQ(changed_keys(before, gradient + "jitter: 0.1}}}\n").size(), 1u);
  const std::string negative = before + "sampling: {negative_prompt: ";
  EXPECT_TRUE(changed_keys(before, negative + "\"\"}\n").empty());
  EXPECT_EQ(
      changed_keys(before, negative + "blurry}\n"),
      std::vector<std::string>{"sampling.negative_prompt: (absent) -> blurry"});
  EXPECT_EQ(changed_keys(negative + "grey}\n", negative + "blurry}\n").size(),
            1u);
}

TEST(ChangedKeys, GuidanceWasThatOfSamplingEverywhere) {
  const std::string before = "sampling: {guidance_scale: 3}\n";
  const std::string later = before + "train: {guidance_scale: 3}\nevaluation: ";
  EXPECT_TRUE(changed_keys(before, later + "{guidance_scale: 3}\n").empty());
  EXPECT_EQ(changed_keys(before, later + "{guidance_scale: 1}\n"),
            std::vector<std::string>{"evaluation.guidance_scale: 3 -> 1"});
}

TEST(ChangedKeys, WhatIsNoConfigIsNamed) {
  for (const std::string damaged : {"a: [1", "- 1", "a: *b", "\xff"}) {
    expect_parts(error_of([&] {
                   changed_keys(damaged, "seed: 1\n", "run/config.yaml");
                 }),
                 {"run/config.yaml"});
  }
}

}  // namespace
}  // namespace rsm
