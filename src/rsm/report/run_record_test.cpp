#include "rsm/report/run_record.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/report/report.h"
#include "rsm/report/run_testing.h"

namespace rsm::report {
namespace {

using nlohmann::json;

/** The example's folder, to be damaged. */
struct ExampleFolder : TemporaryFolder {
  json samples;

  ExampleFolder() {
    write_run(path(), example_log(), example_run());
    samples = write_samples(path());
  }
  std::string refusal() const {
    return error_of([&] { read_run(path()); });
  }
  void write(const std::vector<json>& log) const {
    write_plain(*this / "log.jsonl", log_text(log));
  }
};

TEST(RunRecord, HasWhatTheFilesSay) {
  const ExampleFolder folder;
  const auto record = read_run(folder.path());
  EXPECT_EQ(record.name, "example");
  EXPECT_EQ(record.main_metric, "strict");
  EXPECT_EQ(record.watched, std::vector<std::string>{"texture"});
  EXPECT_EQ(record.seed, 7u);
  EXPECT_TRUE(record.finished);
  EXPECT_EQ(record.config.at("train.lr"), "0.0003");
  ASSERT_EQ(record.schedule.size(), 3u);
  EXPECT_EQ(record.schedule[1].branches, 4);
  EXPECT_TRUE(std::isnan(record.schedule[2].h));
  ASSERT_EQ(record.epochs.size(), 3u);
  EXPECT_EQ(record.evaluated().size(), 2u);
  EXPECT_EQ(record.epochs[1].number("reward"), 0.7);
  EXPECT_EQ(record.epochs[1].cost().images, 256);
  EXPECT_TRUE(std::isnan(record.epochs[0].number("reward")));
  const auto& last = *record.epochs[2].evaluation;
  EXPECT_EQ(last.all.metric("strict"), 0.60);
  EXPECT_EQ(last.all.metric("reward"), 0.9);
  EXPECT_EQ(last.all.images, 100);
  EXPECT_EQ(last.all.error("strict").standard, 0.05);
  const auto& counting = last.categories.at("counting");
  EXPECT_EQ(counting.metric("strict"), 0.70);
  EXPECT_EQ(counting.metrics.count("images"), 0u);
  EXPECT_EQ(counting.change_error("strict").standard, 0.1);
  EXPECT_EQ(counting.change_error("strict").freedom, kManyPrompts);
  EXPECT_FALSE(last.all.error("texture").is_known());
  EXPECT_EQ(record.samples.before.scores[2], 1);
  EXPECT_TRUE(std::isnan(record.samples.before.scores[4]));
  EXPECT_TRUE(record.log_problems.empty());
  EXPECT_TRUE(record.picture_problems.empty());
}

TEST(RunRecord, EveryFileOfTheRunIsNeeded) {
  for (const char* file : {"run.json", "config.yaml", "log.jsonl"}) {
    const ExampleFolder folder;
    std::filesystem::remove(folder / file);
    expect_parts(folder.refusal(), {"[run]", folder.path(), file});
    write_plain(folder / file, "{");
    if (std::string(file) == "log.jsonl") continue;  // half a last line
    expect_parts(folder.refusal(), {std::string(file) + ":1"});
  }
}

using Visit = std::function<void(const std::string& key)>;

/** Every key of `at`, at any depth, without its value and with each of the
 * other ones, one at a time. */
void for_each_with(const std::vector<json>& values, json& at,
                   const Visit& visit) {
  std::vector<std::string> keys;
  if (at.is_object()) {
    for (const auto& item : at.items()) keys.push_back(item.key());
  }
  for (const auto& key : keys) {
    const auto kept = at[key];
    for (const auto& value : values) {
      at[key] = value;
      visit(key);
    }
    at.erase(key);
    visit(key);
    at[key] = kept;
    for_each_with(values, at[key], visit);
  }
}

TEST(RunRecord, OddValuesAreRefusedByFileAndKeyOrShown) {
  const ExampleFolder folder;
  std::filesystem::remove_all(folder / "samples");
  const std::vector<json> values = {nullptr,           "text",     -1, 1e300,
                                    {1, "a", nullptr}, {{"a", {}}}};
  int64_t refused = 0, shown = 0;
  const auto visit = [&](const std::string& file, const std::string& key) {
    try {
      EXPECT_EQ(tag_problem(report_html(read_run(folder.path()))), "") << key;
      ++shown;
    } catch (const Error& error) {
      // An object where a key was is refused by what it lacks or holds.
      expect_parts(error.what(), {folder / file});
      const std::string said = error.what();
      EXPECT_TRUE(said.find(key) != said.npos || said.find(".a") != said.npos ||
                  said.find("missing") != said.npos)
          << key << ": " << said;
      ++refused;
    }
  };
  auto run = example_run();
  for_each_with(values, run, [&](const std::string& key) {
    write_plain(folder / "run.json", run.dump());
    visit("run.json", key);
  });
  write_plain(folder / "run.json", run.dump());
  auto log = example_log();
  log[1]["rewards"] = example_rewards(0.5);
  for (auto& line : log) {
    for_each_with(values, line, [&](const std::string& key) {
      folder.write(log);
      visit("log.jsonl", key);
    });
  }
  EXPECT_GT(refused, 150);
  EXPECT_GT(shown, 150);
}

TEST(RunRecord, LogsThatGoBackAreRefusedByLine) {
  const ExampleFolder folder;
  auto log = example_log();
  log.push_back(log[1]);
  folder.write(log);
  expect_parts(folder.refusal(), {"log.jsonl:4", "epoch is 1", "epoch 2"});
  for (const char* total : {"train_s", "images", "evals"}) {
    log = example_log();
    log[0][total] = -1;
    folder.write(log);
    expect_parts(folder.refusal(), {"log.jsonl:1", total, "-1"});
    log[0][total] = 2000;
    log[1][total] = 1;
    folder.write(log);
    expect_parts(folder.refusal(), {"log.jsonl:2", total, "1 after 2000"});
  }
}

TEST(RunRecord, HalfALastLineIsNoLine) {
  const ExampleFolder folder;
  write_plain(folder / "log.jsonl",
              log_text(example_log()) + "{\"epoch\":3,\"train_s\":3");
  EXPECT_EQ(read_run(folder.path()).epochs.size(), 3u);
}

TEST(RunRecord, FilesThatContradictEachOtherAreRefused) {
  const std::vector<std::pair<std::string, json>> changes = {
      {"/name", "other"},        {"/seed", 2},
      {"/model", "other"},       {"/method/name", "other"},
      {"/guidance_scale", 1.25}, {"/steps", 4}};
  for (const auto& [place, value] : changes) {
    const ExampleFolder folder;
    auto run = example_run();
    run[json::json_pointer(place)] = value;
    write_plain(folder / "run.json", run.dump());
    expect_parts(folder.refusal(), {"[run]", "run.json", place, "config.yaml"});
  }
  // One number may be written in two ways.
  const ExampleFolder folder;
  auto run = example_run();
  run["guidance_scale"] = "15e-1";
  write_plain(folder / "run.json", run.dump());
  EXPECT_EQ(read_run(folder.path()).seed, 7u);
}

TEST(RunRecord, AConfigThatTheRunDidNotHaveIsRefused) {
  const ExampleFolder folder;
  const auto config = read_file(folder / "config.yaml");
  auto run = example_run();
  run["config_sha256"] = checksum(config);
  write_plain(folder / "run.json", run.dump());
  EXPECT_EQ(read_run(folder.path()).config_text, config);
  // A key that run.json does not say.
  ASSERT_NE(config.find("0.0003"), std::string::npos);
  auto other = config;
  write_plain(folder / "config.yaml",
              other.replace(config.find("0.0003"), 6, "0.0004"));
  expect_parts(folder.refusal(),
               {"[run]", "config.yaml", "SHA-256", "bring back"});
}

TEST(RunRecord, HolesOfTheLogAreProblems) {
  const ExampleFolder folder;
  folder.write({{{"epoch", 2}}, {{"epoch", 3}}, {{"epoch", 5}}});
  const auto problems = read_run(folder.path()).log_problems;
  ASSERT_EQ(problems.size(), 1u);
  expect_parts(problems[0], {"log.jsonl", "epochs 0 to 1, 4;"});
}

TEST(RunRecord, PicturesThatAreGoneOrDamagedAreProblems) {
  for (const std::string name : {"before.png", "after.png", "prompts.json"}) {
    for (const bool gone : {true, false}) {
      const ExampleFolder folder;
      const auto path = folder / ("samples/" + name);
      const auto bytes = read_file(path);
      std::filesystem::remove(path);
      if (!gone) write_plain(path, bytes.substr(0, bytes.size() / 2));
      const auto problems = read_run(folder.path()).picture_problems;
      ASSERT_EQ(problems.size(), 1u) << name;
      expect_parts(problems[0], {name, "picture", "cannot be shown"});
    }
  }
}

TEST(RunRecord, PicturesThatPromptsJsonDoesNotFitAreProblems) {
  ExampleFolder folder;
  const auto problem_with = [&](const std::string& key, const json& value) {
    auto said = folder.samples;
    said[key] = value;
    write_plain(folder / "samples/prompts.json", said.dump());
    const auto problems = read_run(folder.path()).picture_problems;
    return problems.empty() ? "" : problems[0];
  };
  expect_parts(problem_with("gap", 3), {"before.png", "28 x 18", "30 x 19"});
  expect_parts(problem_with("columns", 0), {"columns"});
  expect_parts(problem_with("tile_width", nullptr), {"tile_width"});
  expect_parts(problem_with("strict_after", {1, 2}), {"after", "2 numbers"});
  EXPECT_EQ(problem_with("gap", 2), "");
}

}  // namespace
}  // namespace rsm::report
