#include "rsm/report/report.h"

#include <gtest/gtest.h>

#include <functional>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/report/report_testing.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {
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
                "Gained most: counting +0.500 \xc2\xb1 0.100.", "1.10\xc3\x97",
                "gap of 0.1", "1 of 5", "3 of 5"});
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
                                  ">Held-out texture <",
                                  ">Guidance strength h(t) <",
                                  ">Reward spread <",
                                  ">Dead groups <",
                                  ">Clipped rows <",
                                  ">Gradient norm<",
                                  "estimator.source",
                                  "lr: 0.0003",
                                  "0.1.0",
                                  "two cores",
                                  "1.5 x what it was",
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
    if (line.contains("eval")) line["eval"]["reward"] = 21.5;
  }
  const auto page = report_of(log, example_run());
  expect_parts(page, {">Training reward ", ">Held-out reward<"});
  EXPECT_EQ(example_report().find(">Held-out reward<"), std::string::npos);
}

/** A run of a judge that knows nothing of the shapes world. */
void write_other_reward(const std::string& folder) {
  auto run = example_run();
  run["reward"] = {{"name", "exec:judge"},
                   {"main_metric", "reward"},
                   {"watched", nlohmann::json::array()}};
  auto log = example_log();
  for (auto& line : log) {
    if (!line.contains("eval")) continue;
    const auto epoch = line["epoch"].get<double>();
    auto& eval = line["eval"];
    eval["reward"] = line["eval_reward"] = 2.5 + 0.1 * epoch;
    eval["metrics"] = {{"beauty", 6 - 0.1 * epoch}};
    eval["errors"] = {{"reward", 0.04}, {"beauty", 0.05}};
    eval["change_errors"] = {{"reward", 0.03}, {"beauty", 0.01}};
    eval["change_freedom"] = {{"reward", 1e7}, {"beauty", 1e7}};
    for (auto& category : eval["by_category"]) {
      category = {{"reward", 2.5}, {"images", 50}};
    }
  }
  write_example(folder, log, run);
  auto samples = read_json(folder + "/samples/prompts.json");
  samples["reward_before"] = {2.25, 2.5, 2.5, 2.5, 2.5, 2.5};
  samples["reward_after"] = {2.75, 2.5, 2.5, 2.5, 2.5, 2.5};
  write_json_atomic(folder + "/samples/prompts.json", samples);
}

TEST(Report, OtherRewardsHearNothingOfTheShapesWorld) {
  const TemporaryFolder folder;
  write_other_reward(folder.path());
  const auto record = read_run(folder.path());
  const auto page = report_html(record);
  // The main metric, each picture's score, and what fell meanwhile.
  expect_parts(page,
               {"The model got better",
                "Reward on 100 held-out pictures: 2.500 \xe2\x86\x92 2.700 "
                "(+0.200 \xc2\xb1 0.030)",
                "with each picture's reward", "before 2.25", "after 2.75",
                "clearly fell: beauty -0.200 \xc2\xb1 0.010"});
  for (const auto& text : {page, summary_text(record)}) {
    for (const auto* word : {"strict", "Strict", "texture", "Texture",
                             "</strong> right", "shapes"}) {
      EXPECT_EQ(text.find(word), std::string::npos) << word;
    }
  }
}

TEST(Report, ShowsEveryMetricBesideTheTrainedOne) {
  expect_parts(
      example_report(),
      {"<th scope=\"row\">reward <small>trained</small></th>"
       "<td>0.9</td><td>0.9</td><td>+0.000 \xc2\xb1 0.020</td>"
       "<td>no clear change</td>",
       "<th scope=\"row\">strict</th>", "<th scope=\"row\">texture</th>"});
}

TEST(Report, NamesWhatTheFolderLacks) {
  const TemporaryFolder folder;
  auto run = example_run();
  run["warnings"] = {"3 prompts were cut"};
  write_example(folder.path(), example_log(), run);
  std::filesystem::remove(folder / "samples/before.png");
  write_plain(folder / "samples/prompts.json", "[[[");
  const auto page = report_html(read_run(folder.path()));
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"pictures before training cannot be shown", "before.png",
                      "no captions", "prompts.json", "3 prompts were cut",
                      "aria-label=\"After\""});
}

TEST(Report, SingleLinesMakeAReport) {
  const auto page =
      report_of({evaluation_line(0, 0.4, 0.2, 2e-4)}, example_run());
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"No result yet", "before training: 0.400"});
  EXPECT_EQ(page.find(">Over time"), std::string::npos);
}

using Visit =
    std::function<void(const nlohmann::json& root, const std::string& key)>;

/** Every key of the log and of the run, at any depth, one at a time, with each
 * of the values instead; discarded ones leave it out. Epochs stay. */
void for_each_with(const std::vector<nlohmann::json>& values,
                   nlohmann::json& root, nlohmann::json& at,
                   const Visit& visit) {
  std::vector<std::string> keys;
  if (at.is_object()) {
    for (const auto& item : at.items()) keys.push_back(item.key());
  }
  for (const auto& key : keys) {
    const auto kept = at[key];
    for (const auto& value : values) {
      if (key == "epoch") break;
      if (value.is_discarded()) {
        at.erase(key);
      } else {
        at[key] = value;
      }
      visit(root, key);
    }
    at[key] = kept;
    for_each_with(values, root, at[key], visit);
  }
}

/** The example's run and log, by epoch. */
nlohmann::json example_files() {
  nlohmann::json all = {{"run", example_run()}, {"log", {}}};
  for (const auto& line : example_log()) {
    all["log"][std::to_string(line["epoch"].get<int64_t>())] = line;
  }
  return all;
}

void write_files(const TemporaryFolder& folder, const nlohmann::json& files) {
  std::vector<nlohmann::json> log;
  if (files.contains("log") && files["log"].is_object()) {
    for (const auto& line : files["log"]) {
      if (line.is_object() && line.contains("epoch")) log.push_back(line);
    }
  }
  write_plain(folder / "log.jsonl", log_text(log));
  write_plain(folder / "run.json", files.value("run", "{}"_json).dump());
}

TEST(Report, AnyKeyMayBeMissingOrOdd) {
  const TemporaryFolder folder;
  write_example(folder.path(), example_log(), example_run());
  std::filesystem::remove_all(folder / "samples");
  auto files = example_files();
  const nlohmann::json missing(nlohmann::json::value_t::discarded);
  const std::vector<nlohmann::json> values = {
      missing, nullptr, "text", -1, 1e300, {1, "a", nullptr}, {{"a", {}}}};
  int64_t tried = 0;
  for_each_with(values, files, files,
                [&](const nlohmann::json& now, const std::string& key) {
                  write_files(folder, now);
                  const auto page = report_html(read_run(folder.path()));
                  ASSERT_EQ(tag_problem(page), "") << "with another " << key;
                  ++tried;
                });
  EXPECT_GT(tried, 500);
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
    // Without run.json the trained value is told, which did not change.
    const bool told = std::string(file) != "run.json";
    expect_parts(page, {told ? "The model got better" : "No clear change"});
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
}  // namespace rsm::report
