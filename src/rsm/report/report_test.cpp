#include "rsm/report/report.h"

#include <gtest/gtest.h>

#include <random>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/plot/format.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/report/run_summary.h"
#include "rsm/report/run_testing.h"

namespace rsm::report {
namespace {

using nlohmann::json;

std::string report_of(const std::vector<json>& log,
                      const json& run = example_run()) {
  const TemporaryFolder folder;
  write_run(folder.path(), log, run);
  write_samples(folder.path());
  write_report(folder.path());
  return read_file(folder / "report.html");
}

std::string example_report() { return report_of(example_log()); }

TEST(Report, SaysFirstWhetherTheModelGotBetter) {
  const auto page = example_report();
  expect_parts(page, {"▲ The model got better</h1>",
                      "Strict score on 100 held-out pictures: 0.400 → 0.600 "
                      "(+0.200 ± 0.069) in 2 min 12 s",
                      "Gained most: counting +0.500 ± 0.100.", "1.10×",
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
                                  ">0.20 → 0.70, +0.50<",
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
                                  "method.estimator.branches",
                                  "lr: 0.0003",
                                  "0.1.0",
                                  "two cores",
                                  "1.5 x what it was",
                                  ">K 8<"});
}

TEST(Report, ShowsWhatNobodyOptimises) {
  EXPECT_EQ(example_report().find("What nobody optimises"), std::string::npos);
  auto log = example_log();
  log[0]["eval"]["watch"] = {{"edges", 0.2}, {"outputs", 0.0}};
  log[2]["eval"]["watch"] = {{"edges", 0.1}, {"outputs", nullptr}};
  const auto page = report_of(log);
  expect_parts(page, {">What nobody optimises <", "edges 0.5 at 2 epoch"});
  EXPECT_EQ(page.find("outputs 1 at 2"), std::string::npos);
}

TEST(Report, ShowsAValueNetworkBesideTheRewardsGradient) {
  EXPECT_EQ(example_report().find("Value network"), std::string::npos);
  auto log = example_log();
  for (const size_t epoch : {1, 2}) {
    log[epoch]["by_step"]["value_norm"] = {0.0, 0.25 * epoch, nullptr};
    log[epoch]["by_step"]["guidance_norm"] = {0.5, 1.0, 4.0 * epoch};
  }
  const auto page = report_of(log);
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page,
               {">Value network <", "Norms of the guidance",
                "value network, epoch 1 0.25 at ",
                "value network, epoch 2 0.5 at ", "gradient, epoch 2 8 at "});
}

TEST(Report, ShowsEachOfSeveralRewardsAlone) {
  EXPECT_EQ(example_report().find("Each reward"), std::string::npos);
  auto log = example_log();
  for (const size_t epoch : {1, 2}) {
    log[epoch]["rewards"] = example_rewards(0.25 * (1.0 + epoch));
  }
  log[2]["warnings"] = {"plain falls where the total rises", "plainly not its"};
  const auto page = report_of(log);
  EXPECT_EQ(tag_problem(page), "");
  const auto row = [](const std::string& name, const std::string& cells) {
    std::string out = "<tr><th scope=\"row\">" + name + "</th>";
    for (size_t at = 0, end = 0; end != std::string::npos; at = end + 1) {
      end = cells.find('|', at);
      out += "<td>" + cells.substr(at, end - at) + "</td>";
    }
    return out + "</tr>";
  };
  // A negative weight is best where its reward is lowest; what weighs nothing
  // has the total for the others.
  expect_parts(
      page,
      {"<h2>Each reward alone",
       row("beauty", "1|0.5|0.75|0.75 (epoch 2)|+0.80|-0.32|0.80"),
       row("plain", "-0.5|-0.5|-0.75|-0.75 (epoch 2)|+0.32|-0.32|0.20"),
       row("aside", "0|3|3|3 (epoch 1)|-0.50|-0.50|0.00"),
       ">Each reward by epoch <", "beauty 1 at 2 epoch", "plain -1 at 2 epoch",
       ">Correlation with the others <", "aside -0.5 at 2 epoch"});
  EXPECT_EQ(occurrences(page, "plain falls where the total rises (in epoch 2)"),
            2);
  EXPECT_EQ(occurrences(page, "plainly not its"), 1);
}

TEST(Report, ARewardThatAloneTrainsHasNoOthers) {
  auto log = example_log();
  log[1]["rewards"] = example_rewards(0.5);
  auto& one = log[1]["rewards"];
  one.erase("plain");
  one["beauty"]["share"] = one["beauty"]["correlation"] = 1.0;
  const auto page = report_of(log);
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"<td>+1.00</td><td>n/a</td><td>1.00</td>"});
  EXPECT_EQ(page.find(">Each reward by epoch"), std::string::npos);
}

TEST(Report, StandsAloneAndDependsOnTheFolderAlone) {
  const auto page = example_report();
  EXPECT_EQ(page, example_report());
  EXPECT_EQ(tag_problem(page), "");
  for (const auto* part :
       {"http://", "https://", "<script", "<link", "@import", "url(", "src="}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(occurrences(page, "href=\"data:image/png;base64,"), 2);
  expect_parts(page, {"prefers-color-scheme: dark", "name=\"viewport\"",
                      "@media print", "charset=\"utf-8\""});
}

TEST(Report, EscapesWhatTheRunSays) {
  const std::string evil = "<script>alert(\"x\")</script>";
  auto log = example_log();
  for (auto& line : log) line["warnings"] = {evil};
  log[2]["eval"]["by_category"][evil] = {{"strict", 0.5}, {"images", 5}};
  log[2]["eval"]["metrics"][evil] = 0.5;
  auto run = example_run();
  run["name"] = run["model"] = run["machine"] = evil;
  run["method"] = {{"name", evil}, {"summary", evil}, {"source", evil}};
  run["versions"] = {{evil, evil}};
  run["reward"]["name"] = evil;
  const TemporaryFolder folder;
  write_run(folder.path(), log, run);
  auto samples = write_samples(folder.path());
  samples["prompts"] = std::vector<std::string>(6, evil);
  write_plain(folder / "samples/prompts.json", samples.dump());
  const auto page = report_html(read_run(folder.path()));
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(tag_problem(page), "");
  EXPECT_GE(occurrences(page, "&lt;script&gt;"), 15);
}

TEST(Report, EveryMetricsNumbersAreTheLogs) {
  std::mt19937_64 random(5);
  std::uniform_real_distribution<double> size(-6, 6);
  std::vector<json> log = {evaluation_line(0, 0.4, 0.4, 1e-4),
                           evaluation_line(1, 0.5, 0.4, 1e-4)};
  std::vector<std::string> rows;
  for (int i = 0; i < 40; ++i) {
    const auto name = cat("m", i);
    const double before = std::pow(10, size(random));
    const double after = before * (1 + 0.1 * size(random));
    const double error = std::pow(10, size(random));
    log[0] = with_metric(log[0], name, before, 0);
    log[1] = with_metric(log[1], name, after, error);
    const Change change = {before, after, {error, kManyPrompts}};
    rows.push_back("<th scope=\"row\">" + name + "</th><td>" +
                   format_short(before) + "</td><td>" + format_short(after) +
                   "</td><td>" + gain_text(change) + "</td>");
  }
  rows.emplace_back(
      "<th scope=\"row\">reward (trained)</th><td>0.9</td><td>0.9</td>"
      "<td>+0.000 ± 0.020</td><td>no clear change</td>");
  expect_parts(report_of(log), rows);
}

TEST(Report, RewardsOfOtherScalesGetPlotsOfTheirOwn) {
  auto log = example_log();
  for (auto& line : log) {
    line["reward"] = 22.5;
    if (line.contains("eval")) line["eval"]["reward"] = 21.5;
  }
  expect_parts(report_of(log), {">Training reward ", ">Held-out reward<"});
  EXPECT_EQ(example_report().find(">Held-out reward<"), std::string::npos);
}

/** A run of a judge that knows nothing of the shapes world. */
void write_other_reward(const std::string& folder) {
  auto run = example_run();
  run["reward"] = {{"name", "exec:judge"},
                   {"main_metric", "reward"},
                   {"watched", json::array()}};
  auto log = example_log();
  for (auto& line : log) {
    if (!line.contains("eval")) continue;
    const auto epoch = line["epoch"].get<double>();
    auto& eval = line["eval"];
    eval["reward"] = line["eval_reward"] = 2.5 + 0.1 * epoch;
    eval["metrics"] = {{"beauty", 6 - 0.1 * epoch}};
    eval["errors"] = {{"reward", 0.04}, {"beauty", 0.05}};
    eval["change_errors"] = {{"reward", 0.03}, {"beauty", 0.01}};
    eval["change_freedom"] = {{"reward", kManyPrompts},
                              {"beauty", kManyPrompts}};
    for (auto& category : eval["by_category"]) {
      category = {{"reward", 2.5}, {"images", 50}};
    }
  }
  write_run(folder, log, run);
  auto samples = write_samples(folder);
  samples["reward_before"] = {2.25, 2.5, 2.5, 2.5, 2.5, 2.5};
  samples["reward_after"] = {2.75, 2.5, 2.5, 2.5, 2.5, 2.5};
  write_plain(folder + "/samples/prompts.json", samples.dump());
}

TEST(Report, OtherRewardsHearNothingOfTheShapesWorld) {
  const TemporaryFolder folder;
  write_other_reward(folder.path());
  const auto record = read_run(folder.path());
  const auto page = report_html(record);
  // The main metric, each picture's score, and what fell meanwhile.
  expect_parts(page, {"The model got better",
                      "Reward on 100 held-out pictures: 2.500 → 2.700 "
                      "(+0.200 ± 0.030)",
                      "with each picture's reward", "before 2.25", "after 2.75",
                      "clearly fell: beauty -0.200 ± 0.010"});
  for (const auto& text : {page, summary_text(record)}) {
    for (const auto* word :
         {"strict", "Strict", "texture", "Texture", "</strong> right"}) {
      EXPECT_EQ(text.find(word), std::string::npos) << word;
    }
  }
}

TEST(Report, TellsWhatItCannotShow) {
  const TemporaryFolder folder;
  auto run = example_run();
  run["warnings"] = {"3 prompts were cut"};
  write_run(folder.path(), example_log(), run);
  write_samples(folder.path());
  std::filesystem::remove(folder / "samples/before.png");
  auto page = report_html(read_run(folder.path()));
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"pictures before training cannot be shown", "before.png",
                      "3 prompts were cut", "aria-label=\"after: right\""});
  EXPECT_EQ(page.find("aria-label=\"before"), std::string::npos);
  write_plain(folder / "samples/prompts.json", "[[[");
  page = report_html(read_run(folder.path()));
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"pictures cannot be shown", "prompts.json"});
}

TEST(Report, SingleLinesMakeAReport) {
  const auto page = report_of({evaluation_line(0, 0.4, 0.2, 2e-4)});
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(page, {"No result yet", "before training: 0.400"});
  EXPECT_EQ(page.find(">Over time"), std::string::npos);
}

TEST(Report, TilesLieWhereTheGridHasThem) {
  // Tiles of 8 pixels, 2 apart: the fifth is at column 1, row 1.
  expect_parts(example_report(),
               {"viewBox=\"10 10 8 8\"><use href=\"#after\"/>", "<p>five</p>",
                "width=\"28\" height=\"18\" href=\"data:"});
}

}  // namespace
}  // namespace rsm::report
