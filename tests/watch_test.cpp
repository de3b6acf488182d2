// What a run keeps while its reward rises, and where the watchdog ends it.

#include "rsm/runs/watch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "rsm/data/watch_ratio.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/export.h"
#include "rsm/runs/run_origin.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/** Rises by `step` each time it is asked, whatever it is shown, so that every
 * evaluation is clearly above (or below) those before. */
class RisingReward : public Reward {
 public:
  explicit RisingReward(double step) : step_(step) {}
  std::string name() const override { return "rising"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts&) const override {
    ++asked_;
    return {images.mean({1, 2, 3}).to(at::kCPU, at::kFloat) +
                step_ * static_cast<double>(asked_),
            {}};
  }

 private:
  double step_;
  mutable int64_t asked_ = 0;
};

RunOptions options_in(const TemporaryFolder& folder, const std::string& name,
                      std::vector<std::string> overrides) {
  overrides.insert(overrides.begin(),
                   {"evaluation.every=1", "train.epochs=3", "train.lr=0.01"});
  return quick_run(folder / name, overrides);
}

/** Begins or goes on, to the end; the log. */
std::vector<json> rising_run(const RunOptions& options, double step = 1) {
  NoProgress silent;
  auto parts = open_parts(options, silent);
  parts.reward = std::make_unique<RisingReward>(step);
  Finetune run(options, std::move(parts), silent);
  while (!run.finished()) run.run_epoch();
  run.finish();
  return read_log(options.folder + "/log.jsonl");
}

/** What evaluation `now` kept of a number of the first. */
double kept_of(const std::vector<json>& log, const std::string& name,
               size_t now) {
  const auto numbers = [&](size_t line) {
    return log[line].at("eval").at("watch").get<WatchNumbers>();
  };
  return kept_share(name, watch_ratio(name, numbers(0), numbers(now)));
}

/** Overrides by which a run of this log is whole at epoch 1 and collapses at
 * epoch 2, by a number that fell between them. */
std::vector<std::string> collapse_after_one(const std::vector<json>& log) {
  std::vector<std::string> out;
  bool found = false;
  for (const auto& [name, usual] : WatchOptions().least) {
    const double one = kept_of(log, name, 1), two = kept_of(log, name, 2);
    const bool falls = !found && two < one;
    found = found || falls;
    out.push_back(
        cat("evaluation.watch.", name, "=", falls ? (one + two) / 2 : 0));
  }
  EXPECT_TRUE(found) << "nothing fell from epoch 1 to 2";
  return out;
}

/** A finished run of three epochs that nothing stops, made once. */
const std::vector<json>& free_log() {
  static const auto log = [] {
    const TemporaryFolder folder;
    return rising_run(
        options_in(folder, "run", {"evaluation.watch.action=off"}));
  }();
  return log;
}

TEST(Watch, LogsNumbersOfEveryEvaluationAndChangesNoOther) {
  const TemporaryFolder folder;
  const auto log = rising_run(options_in(folder, "run", {}));
  ASSERT_EQ(log.size(), free_log().size());
  for (size_t i = 0; i < log.size(); ++i) {
    for (const char* name : {"edges", "colours", "saturation", "outputs"}) {
      EXPECT_TRUE(log[i]["eval"]["watch"][name].is_number()) << name;
    }
    EXPECT_EQ(log[i]["eval"], free_log()[i]["eval"]);
    for (const char* key : {"loss", "grad_norm", "kl"}) {
      EXPECT_EQ(log[i].value(key, json()), free_log()[i].value(key, json()));
    }
  }
  EXPECT_EQ(log[0]["eval"]["watch"]["outputs"], 0);  // nothing is learnt yet
}

/** Nothing collapses. */
std::vector<std::string> whole(std::vector<std::string> overrides) {
  for (const auto& [name, usual] : WatchOptions().least) {
    overrides.push_back("evaluation.watch." + name + "=0");
  }
  return overrides;
}

TEST(Watch, KeepsTheBestEvaluationAsAFolderOfItsOwn) {
  const TemporaryFolder folder;
  const auto options = options_in(folder, "run", whole({"train.epochs=2"}));
  const auto log = rising_run(options);
  EXPECT_EQ(best_epoch(options.watch, log), 2);
  EXPECT_EQ(kept_best(options.folder), 2);
  EXPECT_EQ(read_checkpoint(best_folder(options.folder), 2).epoch, 2);
  const auto none =
      options_in(folder, "none",
                 whole({"train.epochs=1", "evaluation.watch.keep_best=false"}));
  rising_run(none);
  EXPECT_FALSE(fs::exists(none.folder + "/best"));
}

TEST(Watch, ABestThatCheckpointsNoLongerHoldCanBeBegunFrom) {
  const TemporaryFolder folder;
  const auto options =
      options_in(folder, "run", whole({"train.epochs=4", "train.lr=0.0001"}));
  rising_run(options, -1);
  ASSERT_EQ(kept_best(options.folder), 1);
  EXPECT_THROW(read_checkpoint(options.folder, 1), Error);
  const auto next =
      options_in(folder, "next", {"name=next", "train.lr=0.00005"});
  begin_from(next, options.folder, 1);
  const auto there = read_checkpoint(next.folder, 1);
  const auto best = read_checkpoint(best_folder(options.folder), 1);
  for (const auto& [name, tensor] : best.tensors) {
    EXPECT_TRUE(tensor.equal(there.tensors.at(name))) << name;
  }
}

TEST(Watch, ResumingKeepsTheSameBest) {
  const TemporaryFolder folder;
  const auto once = options_in(folder, "whole", {"evaluation.watch.edges=0"});
  run_to_end(once);
  for (const int64_t epochs : {1, 2, 3}) {
    run_to_end(
        options_in(folder, "parts",
                   {"evaluation.watch.edges=0", cat("train.epochs=", epochs)}));
    if (epochs == 2) fs::remove_all(folder / "parts/best");  // killed before
  }
  const auto best = kept_best(once.folder);
  ASSERT_EQ(best, best_epoch(once.watch, read_log(once.folder + "/log.jsonl")));
  EXPECT_EQ(kept_best(folder / "parts"), best);
  if (best) {
    const auto one = read_checkpoint(best_folder(once.folder), *best);
    const auto other = read_checkpoint(folder / "parts/best", *best);
    for (const auto& [name, tensor] : one.tensors) {
      EXPECT_TRUE(tensor.equal(other.tensors.at(name))) << name;
    }
  }
  expect_same_weights(once.folder, folder / "parts");
}

TEST(Watch, StopsWhereTheRewardRisesAndSomethingCollapses) {
  const TemporaryFolder folder;
  auto overrides = collapse_after_one(free_log());
  overrides.push_back("evaluation.watch.action=stop");
  const auto log = rising_run(options_in(folder, "run", overrides));
  ASSERT_EQ(log.size(), 3u);  // epochs 0, 1 and 2
  EXPECT_FALSE(log[1]["eval"].contains("watch_stop"));
  EXPECT_EQ(log[2]["eval"]["watch_stop"], true);
  expect_parts(log[2]["warnings"].dump(), {"reward rose", "ends here"});
  // It stays at its end, and goes on where it is only to be warned of.
  EXPECT_EQ(rising_run(options_in(folder, "run", overrides)), log);
  overrides.back() = "evaluation.watch.action=warn";
  EXPECT_EQ(rising_run(options_in(folder, "run", overrides)).size(), 4u);
}

TEST(Watch, RollsBackToTheBestEvaluation) {
  const TemporaryFolder folder;
  auto overrides = collapse_after_one(free_log());
  overrides.push_back("evaluation.watch.action=rollback");
  const auto back = options_in(folder, "back", overrides);
  ASSERT_EQ(rising_run(back).size(), 3u);
  EXPECT_EQ(kept_best(back.folder), 1);
  overrides.push_back("train.epochs=1");
  const auto one = options_in(folder, "one", overrides);
  rising_run(one);
  const std::string adapter = "/final/adapter_model.safetensors";
  EXPECT_EQ(read_file(back.folder + adapter), read_file(one.folder + adapter));
  // The newest checkpoint is the one that collapsed.
  NoProgress silent;
  ExportOptions best;
  best.run = back.folder;
  best.best = true;
  export_run(best, silent);
  EXPECT_EQ(read_file(back.folder + "/export/adapter_model.safetensors"),
            read_file(one.folder + adapter));
}

}  // namespace
}  // namespace rsm
