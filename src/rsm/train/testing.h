#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/progress.h"
#include "rsm/io/config.h"
#include "rsm/io/run_log.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/forecast.h"
#include "rsm/train/finetune.h"

namespace rsm {

/** Keeps what is said. */
class Notes : public NoProgress {
 public:
  void say(const std::string& line) override { said.push_back(line); }
  std::string all() const { return join(said, "\n"); }

  std::vector<std::string> said;
};

/** A run of seconds on the shapes world. */
inline RunOptions quick_run(const std::string& folder,
                            const std::vector<std::string>& overrides) {
  return read_run_options(Config::parse("name: run\nfolder: " + folder + R"(
model: models/shapes-flow
prompts: {per_epoch: 2}
train: {epochs: 2, ema_decay: 0, lr: 0.001}
method: {name: tempflow-grpo, estimator: {branches: [3, 2, 0, 0]}}
sampling: {steps: 4, guidance_scale: 1}
reward: jpeg-compressibility
evaluation: {images: 6, steps: 2, every: 2}
checkpoint: {every: 1}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)",
                                        "test.yaml", overrides));
}

/** Runs to the end, or goes on from its checkpoint to the end; the log. */
inline std::vector<nlohmann::json> run_to_end(const RunOptions& options) {
  NoProgress silent;
  Finetune run(options, silent);
  while (!run.finished()) {
    run.run_epoch();
  }
  run.finish();
  return read_log(options.folder + "/log.jsonl");
}

/** A run's first epoch has cost what was forecast, and has learnt something: a
 * first update whose ratios are not exactly 1 would have stopped it. */
inline void expect_as_forecast(const nlohmann::json& epoch,
                               const RunOptions& options) {
  EXPECT_GT(epoch.at("grad_norm").get<double>(), 0);
  EXPECT_TRUE(std::isfinite(epoch.at("loss").get<double>()));
  const auto f = forecast(options);
  EXPECT_EQ(epoch.at("evaluations").at("rollout"), f.evaluations.rollout);
  EXPECT_EQ(epoch.at("evaluations").at("guidance"), f.evaluations.guidance);
  EXPECT_EQ(epoch.at("evaluations").at("reference"), f.evaluations.reference);
  EXPECT_EQ(epoch.at("evaluations").at("old"), f.evaluations.old);
  EXPECT_EQ(epoch.at("images"), f.images);
  EXPECT_EQ(epoch.at("rows"), f.rows);
}

/** Two runs have learnt the same, by their newest checkpoints: every byte where
 * the device repeats its bits. Elsewhere rounding decides the sign of gradients
 * that are nothing else, and AdamW makes a whole step of a sign. */
inline void expect_same_weights(const std::string& a, const std::string& b,
                                bool repeats_its_bits = true) {
  const auto one = latest_checkpoint(a);
  const auto other = latest_checkpoint(b);
  ASSERT_TRUE(one && other);
  EXPECT_EQ(one->epoch, other->epoch);
  for (const auto& [name, tensor] : one->tensors) {
    const auto& twin = other->tensors.at(name);
    if (repeats_its_bits) {
      EXPECT_TRUE(tensor.equal(twin)) << name;
    } else if (name.starts_with("average.")) {
      EXPECT_LE((tensor - twin).norm().item<double>(),
                0.05 * twin.norm().item<double>())
          << name;
    }
  }
}

/** A run that stops after each of its first epochs leaves the bytes of one that
 * does not; returns its checkpoint. */
inline Checkpoint expect_resumes(const RunOptions& whole,
                                 const RunOptions& parts,
                                 bool repeats_its_bits) {
  run_to_end(whole);
  NoProgress silent;
  for (int64_t stop = 0; stop < 2; ++stop) {
    Finetune part(parts, silent);
    part.run_epoch();
    part.save();
  }
  run_to_end(parts);
  expect_same_weights(whole.folder, parts.folder, repeats_its_bits);
  return *latest_checkpoint(parts.folder);
}

}  // namespace rsm
