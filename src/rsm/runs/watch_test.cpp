#include "rsm/runs/watch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/faulty_disk_testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint.h"

namespace rsm {
namespace {

using nlohmann::json;

/** A line of a log whose change of reward has an error of 0.05. */
json line_of(int64_t epoch, double reward, double kl, json watch) {
  return {{"epoch", epoch},
          {"eval",
           {{"reward", reward},
            {"kl", kl},
            {"change_errors", {{"reward", 0.05}}},
            {"change_freedom", {{"reward", 1e6}}},
            {"watch", std::move(watch)}}}};
}

json whole() {
  return {{"edges", 0.2},
          {"colours", 3.0},
          {"saturation", 0.4},
          {"diversity", 0.3},
          {"outputs", 0.0}};
}

json with(const std::string& name, double value) {
  auto out = whole();
  out[name] = value;
  return out;
}

std::string warning(double reward, const json& watch,
                    const WatchOptions& options = {}) {
  return watch_warning(options, {line_of(0, 0.5, 0, whole())},
                       line_of(1, reward, 0.1, watch).at("eval"), "runs/a");
}

TEST(WatchWarning, ComesWhereTheRewardRisesAndWhatIsWatchedCollapses) {
  EXPECT_EQ(warning(0.9, whole()), "");
  const std::string text = warning(0.9, with("colours", 1.2));
  expect_parts(text, {"reward rose", "colours 0.4 times", "runs/a/samples"});
  EXPECT_EQ(text.find("edges"), std::string::npos);
  // It fell, or did not clearly rise.
  EXPECT_EQ(warning(0.3, with("colours", 1.2)), "");
  EXPECT_EQ(warning(0.55, with("colours", 1.2)), "");
  // Little is no collapse.
  EXPECT_EQ(warning(0.9, with("colours", 2.0)), "");
}

TEST(WatchWarning, KnowsWhatMayNotRunAway) {
  EXPECT_NE(warning(0.9, with("edges", 0.5)), "");
  EXPECT_NE(warning(0.9, with("saturation", 0.9)), "");
  EXPECT_EQ(warning(0.9, with("diversity", 0.9)), "");
  EXPECT_EQ(warning(0.9, with("colours", 6.0)), "");
  // A logarithm: twice as large, half as large.
  EXPECT_EQ(warning(0.9, with("outputs", std::log(1.9))), "");
  EXPECT_NE(warning(0.9, with("outputs", std::log(2.1))), "");
  EXPECT_NE(warning(0.9, with("outputs", std::log(0.4))), "");
}

TEST(WatchWarning, SaysNothingOfWhatIsNotKnownOrNotLookedAt) {
  auto hidden = with("edges", 0.01);
  WatchOptions options;
  options.least["edges"] = 0;
  EXPECT_EQ(warning(0.9, hidden, options), "");
  options = {.action = WatchOptions::Action::off};
  EXPECT_EQ(warning(0.9, hidden, options), "");
  hidden["edges"] = nullptr;
  EXPECT_EQ(warning(0.9, hidden), "");
  EXPECT_EQ(warning(0.9, json::object()), "");
  // Logs of before have no such numbers.
  json old = line_of(0, 0.5, 0, whole());
  old["eval"].erase("watch");
  EXPECT_EQ(
      watch_warning({}, {old},
                    line_of(1, 0.9, 0, with("edges", 0.01)).at("eval"), "a"),
      "");
  EXPECT_EQ(watch_warning({}, {}, line_of(0, 0.9, 0, whole()).at("eval"), "a"),
            "");
}

TEST(WatchWarning, SaysWhereTheRunEnds) {
  const std::vector<json> log = {line_of(0, 0.5, 0, whole()),
                                 line_of(4, 0.7, 0.1, whole())};
  const auto now = line_of(8, 0.9, 0.3, with("edges", 0.01)).at("eval");
  const auto of = [&](WatchOptions::Action action) {
    return watch_warning({.action = action}, log, now, "runs/a");
  };
  EXPECT_EQ(of(WatchOptions::Action::warn).find("ends"), std::string::npos);
  expect_parts(of(WatchOptions::Action::warn),
               {"runs/a/best", "epoch before, 4"});
  expect_parts(of(WatchOptions::Action::stop), {"ends here", "this epoch"});
  expect_parts(of(WatchOptions::Action::rollback), {"final/", "that epoch's"});
}

TEST(BestEpoch, IsTheHighestRewardThatHeldWithinItsDrift) {
  const std::vector<json> log = {
      line_of(0, 0.99, 0, whole()),  // before training: never the best
      line_of(2, 0.6, 0.1, whole()),
      json{{"epoch", 3}, {"reward", 5.0}},  // not evaluated
      line_of(4, 0.7, 0.2, whole()),
      line_of(6, 0.7, 0.3, whole()),
      line_of(8, 0.9, 0.9, with("colours", 0.1))};
  EXPECT_EQ(best_epoch({}, log), 4);
  WatchOptions options;
  options.best_kl = 0.15;
  EXPECT_EQ(best_epoch(options, log), 2);
  options.best_kl = 0.01;
  EXPECT_FALSE(best_epoch(options, log));
  options = {};
  options.least["colours"] = 0;
  EXPECT_EQ(best_epoch(options, log), 8);
  EXPECT_FALSE(best_epoch({}, {log[0]}));
  EXPECT_FALSE(best_epoch({}, {}));
}

/** A checkpoint of one number. */
void save_number(const std::string& folder, int64_t epoch) {
  Checkpoint checkpoint;
  checkpoint.epoch = epoch;
  checkpoint.tensors["average.w"] = at::full({2}, static_cast<double>(epoch));
  save_checkpoint(folder, checkpoint);
}

TEST(KeepBest, HoldsTheBytesOfACheckpointThatIsGone) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  for (int64_t epoch = 0; epoch < 2; ++epoch) save_number(run, epoch);
  const auto mark = read_file(run + "/checkpoints/epoch-000001.json");
  keep_best(run, 1, 1);
  for (int64_t epoch = 2; epoch < 6; ++epoch) save_number(run, epoch);
  EXPECT_THROW(read_checkpoint(run, 1), Error);
  EXPECT_EQ(kept_best(run), 1);
  const auto kept = read_checkpoint(best_folder(run), 1);
  EXPECT_EQ(kept.tensors.at("average.w")[0].item<double>(), 1);
  EXPECT_EQ(read_file(run + "/best/checkpoints/epoch-000001.json"), mark);
  keep_best(run, 5, 5);
  EXPECT_EQ(checkpoint_epochs(best_folder(run)), std::vector<int64_t>{5});
  EXPECT_FALSE(std::filesystem::exists(run + "/best.new"));
}

TEST(KeepBest, StaysUnlessItIsOfALaterEpoch) {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  for (int64_t epoch = 0; epoch < 5; ++epoch) save_number(run, epoch);
  keep_best(run, 4, 4);
  keep_best(run, 1, 4);  // gone from checkpoints/
  EXPECT_EQ(kept_best(run), 4);
  keep_best(run, 1, 3);  // set back
  EXPECT_FALSE(kept_best(run));
  keep_best(run, std::nullopt, 3);
  EXPECT_FALSE(kept_best(run));
}

TEST(KeepBest, NamesThePlaceAndAWayOutAndComesBackOnceItCan) {
  for (int64_t at = 0;; ++at) {
    SCOPED_TRACE(at);
    const TemporaryFolder folder;
    const std::string run = folder / "run";
    for (int64_t epoch = 0; epoch < 2; ++epoch) save_number(run, epoch);
    keep_best(run, 0, 0);
    bool failed = false;
    {
      const FaultyDisk disk(FaultyDisk::Kind::read_only, at);
      try {
        keep_best(run, 1, 1);
      } catch (const Error& error) {
        expect_parts(error.what(),
                     {best_folder(run), std::strerror(disk.code()), "; "});
      }
      failed = disk.has_failed();
    }
    keep_best(run, 1, 1);
    EXPECT_EQ(read_checkpoint(best_folder(run), 1).epoch, 1);
    EXPECT_FALSE(std::filesystem::exists(run + "/best.new"));
    if (!failed) {
      EXPECT_GE(at, 3);  // two links, and the folder's name
      return;
    }
  }
}

TEST(ReadWatch, TakesActionsAndShares) {
  const auto read = [](const std::string& text) {
    const auto config = Config::parse(text, "test.yaml");
    const auto out = read_watch(config.section("evaluation"));
    config.done();
    return out;
  };
  EXPECT_EQ(read("evaluation: {}\n").action, WatchOptions::Action::warn);
  const auto options = read(
      "evaluation: {watch: {action: rollback, edges: 0.2, best_kl: 0.5}}\n");
  EXPECT_EQ(options.action, WatchOptions::Action::rollback);
  EXPECT_EQ(options.least.at("edges"), 0.2);
  EXPECT_EQ(options.best_kl, 0.5);
  EXPECT_EQ(read("evaluation: {watch: {action: off}}\n").action,
            WatchOptions::Action::off);
  expect_parts(error_of([&] {
                 read("evaluation: {watch: {action: halt, edges: 2}}\n");
               }),
               {"evaluation.watch.action", "halt", "rollback",
                "evaluation.watch.edges"});
}

}  // namespace
}  // namespace rsm
