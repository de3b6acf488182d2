#include "rsm/report/report.h"

#include <gtest/gtest.h>

#include <functional>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/report/report_testing.h"

namespace rsm {
namespace {

std::string report_of(const std::vector<nlohmann::json>& log,
                      const nlohmann::json& run) {
  const TemporaryFolder folder;
  write_example(folder.path(), log, run);
  write_report(folder.path());
  return read_file(folder / "report.html");
}

std::string example_report() { return report_of(example_log(), example_run()); }

TEST(Report, SaysFirstWhetherTheModelGotBetter) {
  const auto page = example_report();
  expect_parts(page,
               {"\xe2\x96\xb2 The model got better</h1>",
                "Strict score on 100 held-out pictures: 0.400 \xe2\x86\x92"
                " 0.600 (+0.200 \xc2\xb1 0.069) in 2 min 12 s",
                "Gained most: counting +0.500.", "1.1\xc3\x97", "gap of 0.1",
                "1 of 5", "3 of 5"});
  EXPECT_LT(page.find("<h1>"), page.find("<section>"));
}

TEST(Report, HasAllSectionsAndPlots) {
  expect_parts(example_report(), {"<h2>Before and after",
                                  "<h2>What changed",
                                  "<h2>How it got there",
                                  "<h2>Is it still the same model?",
                                  "<h2>Where along the way it learns",
                                  "<h2>Details",
                                  ">By category <",
                                  ">Over time <",
                                  ">Score by epoch<",
                                  ">Score by drift <",
                                  ">Drift from the reference <",
                                  ">Background texture <",
                                  ">Guidance strength h(t) <",
                                  ">Reward spread <",
                                  ">Dead groups <",
                                  ">Clipped rows <",
                                  ">Gradient norm<",
                                  "estimator.source",
                                  "lr: 0.0003",
                                  "0.1.0",
                                  "two cores",
                                  "1.5 x the base model",
                                  ">K 8<"});
}

TEST(Report, StandsAlone) {
  const auto page = example_report();
  for (const auto* part :
       {"http://", "https://", "<script", "<link", "@import", "url(", "src="}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(occurrences(page, "href=\"data:image/png;base64,"), 2);
  expect_parts(page, {"prefers-color-scheme: dark", "name=\"viewport\"",
                      "@media print", "charset=\"utf-8\""});
}

TEST(Report, IsWellFormed) { EXPECT_EQ(tag_problem(example_report()), ""); }

TEST(Report, DependsOnTheFolderAlone) {
  EXPECT_EQ(example_report(), example_report());
}

TEST(Report, EscapesWhatTheRunSays) {
  const std::string evil = "<script>alert(\"x\")</script>";
  auto log = example_log();
  for (auto& line : log) line["warnings"] = {evil};
  log[2]["eval"]["by_category"][evil] = {{"strict", 0.5}, {"images", 5}};
  log[2]["eval"]["metrics"][evil] = 0.5;
  auto run = example_run();
  run["name"] = run["model"] = run["machine"] = evil;
  run["method"] = {{"name", evil},
                   {"summary", evil},
                   {"source", evil},
                   {"knobs", {{evil, evil}}}};
  run["versions"] = {{evil, evil}};
  run["reward"] = {{"name", evil}, {"trained", evil}, {"main_metric", evil}};
  const TemporaryFolder folder;
  write_example(folder.path(), log, run);
  write_file_atomic(folder / "config.yaml", evil);
  auto samples = read_json(folder / "samples/prompts.json");
  samples["prompts"] = std::vector<std::string>(6, evil);
  write_json_atomic(folder / "samples/prompts.json", samples);
  const auto page = report_html(read_run(folder.path()));
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(tag_problem(page), "");
  EXPECT_GE(occurrences(page, "&lt;script&gt;"), 15);
}

TEST(Report, RewardsOfOtherScalesGetPlotsOfTheirOwn) {
  auto log = example_log();
  for (auto& line : log) {
    line["reward"] = 22.5;
    if (line.contains("eval")) line["eval"]["metrics"]["graded"] = 21.5;
  }
  const auto page = report_of(log, example_run());
  expect_parts(page, {">Training reward ", ">Held-out graded<"});
  EXPECT_EQ(example_report().find(">Held-out graded<"), std::string::npos);
}

TEST(Report, SingleLinesMakeAReport) {
  const auto page =
      report_of({evaluation_line(0, 0.4, 0.2, 2e-4)}, example_run());
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"No result yet", "before training: 0.400"});
  EXPECT_EQ(page.find(">Over time"), std::string::npos);
}

/** Every key of the log and of the run, at any depth, one at a time. */
void for_each_without(nlohmann::json& root, nlohmann::json& at,
                      const std::function<void(const nlohmann::json&,
                                               const std::string&)>& try_) {
  std::vector<std::string> keys;
  if (at.is_object()) {
    for (const auto& item : at.items()) keys.push_back(item.key());
  }
  for (const auto& key : keys) {
    const auto value = at[key];
    at.erase(key);
    if (key != "epoch") try_(root, key);
    at[key] = nullptr;
    if (key != "epoch") try_(root, key);
    at[key] = value;
    for_each_without(root, at[key], try_);
  }
}

TEST(Report, AnyKeyMayBeMissingOrNull) {
  const TemporaryFolder folder;
  write_example(folder.path(), example_log(), example_run());
  nlohmann::json all = {{"run", example_run()}, {"log", {}}};
  for (const auto& line : example_log()) {
    all["log"][std::to_string(line["epoch"].get<int64_t>())] = line;
  }
  int64_t tried = 0;
  for_each_without(all, all,
                   [&](const nlohmann::json& now, const std::string& key) {
                     std::vector<nlohmann::json> log;
                     if (now.contains("log") && now["log"].is_object()) {
                       for (const auto& line : now["log"]) {
                         if (line.is_object()) log.push_back(line);
                       }
                     }
                     write_plain(folder / "log.jsonl", log_text(log));
                     write_file_atomic(folder / "run.json",
                                       now.value("run", "{}"_json).dump());
                     const auto page = report_html(read_run(folder.path()));
                     EXPECT_EQ(tag_problem(page), "") << "without " << key;
                     ++tried;
                   });
  EXPECT_GT(tried, 150);
}

TEST(Report, FilesBesideTheLogMayBeMissing) {
  for (const auto* file :
       {"run.json", "config.yaml", "samples", "samples/before.png",
        "samples/after.png", "samples/prompts.json"}) {
    const TemporaryFolder folder;
    write_example(folder.path(), example_log(), example_run());
    std::filesystem::remove_all(folder / file);
    const auto page = report_html(read_run(folder.path()));
    EXPECT_EQ(tag_problem(page), "") << file;
    expect_parts(page, {"The model got better"});
  }
}

TEST(Report, TilesLieWhereTheGridHasThem) {
  // Tiles of 8 pixels, 2 apart: the fifth is at column 1, row 1.
  const auto page = example_report();
  expect_parts(page,
               {"viewBox=\"10 10 8 8\"><use href=\"#after\"/>", "<p>five</p>"});
}

TEST(Report, GridsThatFitNoTilesAreShownWhole) {
  const TemporaryFolder folder;
  write_example(folder.path(), example_log(), example_run());
  auto samples = read_json(folder / "samples/prompts.json");
  for (const int64_t columns : {0, 5, 1000}) {
    samples["columns"] = columns;
    write_json_atomic(folder / "samples/prompts.json", samples);
    const auto page = report_html(read_run(folder.path()));
    expect_parts(page, {"viewBox=\"0 0 28 18\""});
    EXPECT_EQ(page.find("class=\"card\""), std::string::npos);
  }
  write_file_atomic(folder / "samples/after.png", "no picture");
  EXPECT_EQ(tag_problem(report_html(read_run(folder.path()))), "");
}

}  // namespace
}  // namespace rsm
