#include "rsm/report/run_record.h"

#include <gtest/gtest.h>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/report/report_testing.h"

namespace rsm::report {
namespace {

TEST(RunRecord, ReadsAWholeFolder) {
  const TemporaryFolder folder;
  write_example(folder.path(), example_log(), example_run());
  const auto record = read_run(folder.path());
  EXPECT_EQ(record.name, "example");
  EXPECT_EQ(record.main_metric, "strict");
  EXPECT_EQ(record.watched, std::vector<std::string>{"texture"});
  EXPECT_TRUE(record.finished);
  EXPECT_EQ(record.knobs, (RunRecord::Facts{{"estimator.source", "branches"}}));
  ASSERT_EQ(record.schedule.size(), 3u);
  EXPECT_EQ(record.schedule[1].branches, 4);
  EXPECT_TRUE(std::isnan(record.schedule[2].h));
  EXPECT_EQ(record.config, "train:\n  lr: 0.0003\n");
  ASSERT_EQ(record.epochs.size(), 3u);
  EXPECT_EQ(record.first_evaluation()->epoch, 0);
  EXPECT_EQ(record.last_evaluation()->epoch, 2);
  EXPECT_FALSE(record.epochs[1].evaluation.has_value());
  EXPECT_EQ(record.epochs[1].number("reward"), 0.7);
  EXPECT_TRUE(std::isnan(record.epochs[0].number("reward")));
  const auto& last = *record.epochs[2].evaluation;
  EXPECT_EQ(last.all.metric("strict"), 0.60);
  EXPECT_EQ(last.all.images, 100);
  EXPECT_EQ(last.categories.at("counting").metric("strict"), 0.70);
  EXPECT_EQ(last.categories.at("counting").metrics.count("images"), 0u);
  EXPECT_EQ(record.samples.columns, 3);
  EXPECT_EQ(record.samples.prompts.size(), 6u);
  EXPECT_EQ(last.all.metric("reward"), 0.9);
  EXPECT_EQ(last.all.error("strict").standard, 0.05);
  EXPECT_EQ(last.all.change_error("strict").standard, 0.069);
  const auto counting = last.categories.at("counting").change_error("strict");
  EXPECT_EQ(counting.standard, 0.1);
  EXPECT_EQ(counting.freedom, 1e7);
  const auto& scores = record.samples.scores_before;
  ASSERT_EQ(scores.size(), 6u);
  EXPECT_EQ(scores[2], 1);
  EXPECT_TRUE(std::isnan(scores[4]));
  EXPECT_TRUE(record.problems.empty()) << record.problems[0];
}

TEST(RunRecord, ErrorsThatTheLogLacksAreNotKnown) {
  const Scores scores = {100, {{"strict", 0.36}}};
  EXPECT_FALSE(scores.error("strict").is_known());
  EXPECT_FALSE(scores.change_error("strict").is_known());
}

TEST(RunRecord, PicturesThatAreGoneOrDamagedAreNamed) {
  for (const std::string name : {"before.png", "after.png", "prompts.json"}) {
    for (const bool gone : {true, false}) {
      const TemporaryFolder folder;
      write_example(folder.path(), example_log(), example_run());
      const auto path = folder / ("samples/" + name);
      auto bytes = read_file(path);
      if (gone) {
        std::filesystem::remove(path);
      } else {
        write_plain(path, bytes.substr(0, bytes.size() / 2));
      }
      const auto problems = read_run(folder.path()).problems;
      ASSERT_EQ(problems.size(), 1u) << name;
      expect_parts(problems[0], {name, "picture"});
    }
  }
}

TEST(RunRecord, HolesOfTheLogAreNamed) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "log.jsonl",
                    "{\"epoch\":2}\n{\"epoch\":3}\n{\"epoch\":5}\n");
  const auto problems = read_run(folder.path()).problems;
  ASSERT_EQ(problems.size(), 1u);
  expect_parts(problems[0], {"epochs 0 to 1, 4;"});
}

TEST(RunRecord, NeedsNothingButALog) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "my-run");
  write_file_atomic(folder / "my-run/log.jsonl", "{\"epoch\":0}\n");
  for (const auto* end : {"", "/", "/."}) {
    const auto record = read_run(folder / "my-run" + end);
    EXPECT_EQ(record.name, "my-run");
    EXPECT_EQ(record.epochs.size(), 1u);
    EXPECT_EQ(record.last_evaluation(), nullptr);
  }
}

TEST(RunRecord, ValuesOfAnotherTypeAreMissing) {
  const TemporaryFolder folder;
  write_file_atomic(
      folder / "log.jsonl",
      "{\"epoch\":0,\"reward\":\"high\",\"warnings\":7,\"by_step\":[1],"
      "\"eval\":{\"images\":\"many\",\"metrics\":[1],\"by_category\":3,"
      "\"kl\":null},\"eval_reward\":0.25}\n");
  write_file_atomic(folder / "run.json",
                    "{\"name\":null,\"method\":3,\"schedule\":{},"
                    "\"prompts\":[],\"versions\":\"1\",\"finished\":1}");
  const auto record = read_run(folder.path());
  EXPECT_FALSE(record.finished);
  ASSERT_TRUE(record.epochs[0].evaluation.has_value());
  const auto& evaluation = *record.epochs[0].evaluation;
  EXPECT_EQ(evaluation.all.images, 0);
  EXPECT_EQ(evaluation.all.metric(record.main_metric), 0.25);
  EXPECT_TRUE(std::isnan(evaluation.kl));
  EXPECT_TRUE(evaluation.categories.empty());
}

TEST(RunRecord, WithoutAWordOfTheRunTheTrainedValueIsTheMainMetric) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "log.jsonl",
                    "{\"epoch\":0,\"eval\":{\"reward\":0.8,\"metrics\":"
                    "{\"strict\":0.5}},\"eval_reward\":0.8}\n");
  const auto record = read_run(folder.path());
  EXPECT_EQ(record.main_metric, "reward");
  const auto& scores = record.epochs[0].evaluation->all;
  EXPECT_EQ(scores.metric("reward"), 0.8);
  EXPECT_EQ(scores.metric("strict"), 0.5);
}

TEST(RunRecord, MistakesNameTheirFile) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] { read_run(folder.path()); }),
               {"[report]", folder.path(), "log.jsonl"});
  write_file_atomic(folder / "log.jsonl", "{\"epoch\":0}\nnonsense\n");
  expect_parts(error_of([&] { read_run(folder.path()); }), {"log.jsonl:2"});
  write_file_atomic(folder / "log.jsonl", "{\"epoch\":0}\n");
  write_file_atomic(folder / "run.json", "{");
  expect_parts(error_of([&] { read_run(folder.path()); }), {"run.json:1"});
}

}  // namespace
}  // namespace rsm::report
