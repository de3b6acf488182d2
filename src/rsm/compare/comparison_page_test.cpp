#include "rsm/compare/comparison_page.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "rsm/compare/comparison_data.h"
#include "rsm/compare/comparison_tables.h"
#include "rsm/compare/comparison_testing.h"
#include "rsm/compare/pareto.h"
#include "rsm/io/files.h"
#include "rsm/plot/markup_testing.h"

namespace rsm::report {
namespace {

namespace fs = std::filesystem;

/** Two settings of two seeds: "fast" is better and sooner than "slow". */
std::vector<ExampleRun> example_sweep() {
  std::vector<ExampleRun> out;
  for (const uint64_t seed : {1, 2}) {
    const double more = 0.02 * static_cast<double>(seed);
    out.push_back({.seed = seed, .lr = "1", .label = "slow"});
    out.push_back({.seed = seed, .lr = "2", .label = "fast"});
    out.back().points = {{0, 0.4, 0},
                         {9, 0.6 + more, 0.002},
                         {18, 0.7 + more, 0.004},
                         {27, 0.8, 0.005}};
  }
  return out;
}

Comparison example_comparison() {
  std::vector<ComparedRun> runs;
  for (const auto& run : example_sweep()) runs.push_back(read_example(run));
  return compare_runs(runs);
}

/** All that a comparison of these paths writes and prints. */
std::string bytes_of(const std::vector<std::string>& paths) {
  const auto comparison = compare_runs(read_compared_runs(paths));
  return comparison_text(comparison) + to_json(comparison).dump() +
         settings_csv(comparison) + curves_csv(comparison) +
         pareto_csv(comparison) + comparison_html(comparison);
}

TEST(ComparisonPage, TheOrderOfRunsChangesNoByte) {
  const TemporaryFolder folder;
  std::vector<std::string> paths;
  for (const auto& run : example_sweep()) {
    paths.push_back(folder / run.folder());
    write_run(paths.back(), run);
  }
  const auto expected = bytes_of({folder.path()});
  std::sort(paths.begin(), paths.end());
  do {
    ASSERT_EQ(bytes_of(paths), expected);
  } while (std::next_permutation(paths.begin(), paths.end()));
}

TEST(ComparisonPage, SaysFirstWhichIsBestAndSoonest) {
  // Targets at 0.6: "fast" crosses on its first of three stretches, at
  // 9 * 0.2 / 0.22 and 9 * 0.2 / 0.24 seconds, "slow" at 20.
  const auto page = comparison_html(example_comparison());
  expect_parts(page, {"2 settings, 4 runs", "Highest strict score: fast, 0.800",
                      "Soonest to 0.6: fast, in 7.8 s, 2.6× sooner than "
                      "slow."});
  EXPECT_LT(page.find("Highest"), page.find("<section>"));
}

TEST(ComparisonPage, HasAllTablesAndPlots) {
  expect_parts(
      comparison_html(example_comparison()),
      {"<h2>Before and after", "<h2>How soon", "<h2>What it took",
       ">Score by training time <", ">Score by pictures <",
       ">Score by network evaluations <", ">Score by drift <", ">Time to 0.6 <",
       ">Score at a drift of 0.003 <", "Every run", "Where the settings differ",
       "train.lr", "target 0.6", "without evaluations"});
}

TEST(ComparisonPage, StandsAloneAndIsWellFormed) {
  const auto page = comparison_html(example_comparison());
  EXPECT_EQ(tag_problem(page), "");
  for (const auto* part :
       {"http://", "https://", "<script", "<link", "@import", "src="}) {
    EXPECT_EQ(page.find(part), std::string::npos) << part;
  }
}

TEST(ComparisonPage, EscapesWhatRunsSay) {
  auto run = read_example({.label = "<script>\"a\", b"});
  run.folder = run.machine = "<script>";
  run.finished = false;
  const auto comparison = compare_runs({run});
  const auto page = comparison_html(comparison);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_EQ(tag_problem(page), "");
  expect_parts(settings_csv(comparison), {"\n\"<script>\"\"a\"\", b\",1,"});
}

TEST(ComparisonPage, ShowsSeedsThinAndTheirMean) {
  const auto figures = comparison_figures(example_comparison());
  ASSERT_EQ(figures.size(), 7u);
  // Two seeds and their mean, for each of two settings.
  EXPECT_EQ(occurrences(figures[0].svg, "<path"), 6);
  EXPECT_EQ(occurrences(figures[0].svg, "stroke-width=\"1.3\""), 4);
  // A dot for every run.
  EXPECT_EQ(occurrences(figures[4].svg, "<circle"), 4);
}

TEST(ComparisonPage, RunsWithoutResultsLeavePlotsOut) {
  ExampleRun begun;
  begun.points.resize(1);
  const auto comparison = compare_runs({read_example(begun)});
  EXPECT_EQ(tag_problem(comparison_html(comparison)), "");
  expect_parts(comparison_text(comparison), {"No result yet"});
  for (const auto& figure : comparison_figures(comparison)) {
    EXPECT_EQ(figure.svg.find("nan"), std::string::npos) << figure.file;
  }
}

TEST(ComparisonFiles, AreWrittenWhereAskedFor) {
  const TemporaryFolder folder;
  const auto files =
      write_comparison(example_comparison(), folder / "new/folder");
  EXPECT_EQ(files.size(), 11u);
  for (const auto* name :
       {"compare.html", "compare.csv", "curves.csv", "compare-time.svg",
        "compare-images.svg", "compare-evaluations.svg", "compare-kl.svg"}) {
    EXPECT_TRUE(fs::exists(folder / (std::string("new/folder/") + name)));
  }
  const auto svg = read_file(folder / "new/folder/compare-time.svg");
  EXPECT_EQ(svg.rfind("<svg xmlns=\"http://www.w3.org/2000/svg\"", 0), 0u);
  EXPECT_EQ(tag_problem(svg), "");
}

TEST(ComparisonFiles, AFolderThatCannotBeMadeIsNamed) {
  const TemporaryFolder folder;
  write_plain(folder / "file", "");
  expect_parts(error_of([&] {
                 write_comparison(example_comparison(), folder / "file/new");
               }),
               {"[compare]", "file/new", "--output"});
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}

TEST(ComparisonFiles, HaveTheSameNumbers) {
  const auto comparison = example_comparison();
  const auto json = to_json(comparison);
  EXPECT_EQ(json["metric"], "strict");
  EXPECT_EQ(json["target"], 0.6);
  EXPECT_EQ(json["baseline"], "slow");
  EXPECT_TRUE(json["warnings"].is_array());
  EXPECT_EQ(json["settings"][0]["label"], "fast");
  EXPECT_EQ(json["settings"][0]["reached"], 2);
  EXPECT_TRUE(json["settings"][0]["behind_best"].is_null());
  const auto& slow = json["settings"][1];
  EXPECT_EQ(slow["runs"].size(), 2u);
  EXPECT_EQ(slow["runs"][0]["after_se"], 0.046);
  EXPECT_EQ(slow["runs"][0]["gain_se"], 0.03);
  EXPECT_EQ(slow["behind_best"]["over"], "seeds");
  EXPECT_EQ(slow["texture_ratio"]["mean"], 1);
  const auto settings = lines_of(settings_csv(comparison));
  ASSERT_EQ(settings.size(), 3u);
  EXPECT_EQ(settings[0],
            "label,seeds,metric,before,after,after_sd,after_se_one_seed,gain,"
            "gain_se_one_seed,behind_best,behind_best_se,kl,texture_ratio,"
            "diversity_ratio,train_s,images,evals,equal_kl,at_equal_kl,"
            "at_equal_kl_sd,at_equal_kl_seeds,target,target_reached,"
            "target_train_s,target_train_s_low,target_train_s_high,"
            "target_images,target_images_low,target_images_high,target_evals,"
            "target_evals_low,target_evals_high,sooner");
  EXPECT_TRUE(settings[1].starts_with("fast,2,strict,0.4,0.8,0,,"));
  EXPECT_TRUE(
      settings[2].ends_with(",0.6,2,20,20,20,200,200,200,1000,1000,"
                            "1000,1"))
      << settings[2];
  const auto curves = lines_of(curves_csv(comparison));
  ASSERT_EQ(curves.size(), 1u + 4 * 4);
  EXPECT_EQ(curves[0],
            "label,run,seed,epoch,train_s,images,evals,kl,diversity,reward,"
            "strict,texture");
  EXPECT_EQ(curves[2], "fast,lr2-1,1,1,9,90,450,0.002,0.2,0.9,0.62,1e-04");
}

TEST(ComparisonFiles, TellOfOneSeedWhatTheTableTells) {
  auto other = read_example({.lr = "2", .label = "other"});
  other.epochs.back().evaluation->all.metrics["strict"] = 0.5;
  const auto comparison =
      compare_runs({read_example({.label = "first"}), other});
  expect_parts(settings_csv(comparison), {"other,1,strict,0.4,0.5,,0.046,"});
  expect_parts(comparison_html(comparison),
               {"+0.300 ± 0.030*", "0.700 ± 0.046*", "one seed cannot show"});
  const auto json = to_json(comparison)["settings"][1];
  EXPECT_EQ(json["behind_best"]["over"], "pictures");
  EXPECT_EQ(json["behind_best"]["paired"], false);
  EXPECT_EQ(json["behind_best"]["sure"], true);
  const auto more =
      compare_runs({read_example({.label = "first"}),
                    read_example({.seed = 2, .label = "first"}), other});
  EXPECT_EQ(to_json(more)["settings"][1]["behind_best"]["over"],
            "seeds and pictures");
}

TEST(ComparisonFiles, AskMoreOfASettingThatIsOneOfMany) {
  // 2.8 errors below the best: sure of two settings, not of six.
  const auto sure = [](size_t settings) {
    std::vector<ComparedRun> runs;
    for (size_t i = 0; i < settings; ++i) {
      const auto name = cat(i);
      runs.push_back(read_example({.lr = name, .label = name}));
      if (i > 0) {
        runs.back().epochs.back().evaluation->all.metrics["strict"] =
            0.7 - 2.8 * 0.065;
      }
    }
    const auto json = to_json(compare_runs(runs));
    return json["settings"][1]["behind_best"]["sure"].get<bool>();
  };
  EXPECT_TRUE(sure(2));
  EXPECT_FALSE(sure(6));
}

TEST(ComparisonFiles, ShowOnlyMetricsThatRunsKnow) {
  auto run = read_example({});
  run.watched.clear();
  for (auto& line : run.epochs) {
    line.evaluation->all.metrics.erase("texture");
    line.evaluation->all.metrics.erase("diversity");
  }
  const auto comparison = compare_runs({run});
  for (const auto& text :
       {comparison_html(comparison), comparison_text(comparison),
        settings_csv(comparison), to_json(comparison).dump()}) {
    EXPECT_EQ(text.find("texture"), std::string::npos);
    EXPECT_EQ(text.find("iversity"), std::string::npos);
  }
}

TEST(ComparisonText, IsATableForTheTerminal) {
  const auto text = comparison_text(example_comparison());
  expect_parts(text, {"2 settings, 4 runs. Highest strict score: fast",
                      "setting  seeds  before           after    gain",
                      "fast         2   0.400  0.800 +- 0.000  +0.400",
                      "slow         2   0.400  0.700 +- 0.000  +0.300",
                      "to 0.6  reached", "2 of 2", "20 s",
                      "Sooner: in training time, than slow."});
  for (const auto& line : lines_of(text)) {
    EXPECT_LE(line.size(), 100u) << line;
    for (const char c : line) EXPECT_EQ(c & 0x80, 0) << line;
  }
}

TEST(ComparisonText, SmallLeadsAreCalledUnclear) {
  const auto text_of = [](double after) {
    auto other = read_example({.lr = "2", .label = "other"});
    other.epochs.back().evaluation->all.metrics["strict"] = after;
    return headlines(
        compare_runs({read_example({.label = "first"}), other}))[0];
  };
  // Standard errors of 0.046 each, together 0.065.
  expect_parts(text_of(0.6),
               {"first, 0.700", "not clearly above other, 0.600"});
  expect_parts(text_of(0.5), {"above other by +0.200 ± 0.065 (one seed)."});
}

TEST(ComparisonText, LeadsOfUnknownErrorAreCalledSo) {
  auto first = read_example({.label = "first"});
  auto other = read_example({.lr = "2", .label = "other"});
  for (auto* run : {&first, &other})
    run->epochs.back().evaluation->all.errors.clear();
  other.epochs.back().evaluation->all.metrics["strict"] = 0.1;
  expect_parts(headlines(compare_runs({first, other}))[0],
               {"by +0.600 above other, of which no error is known"});
}

TEST(ComparisonText, OneSeedIsMarked) {
  const auto text = comparison_text(compare_runs({read_example({})}));
  expect_parts(text, {"0.700 +- 0.046*", "* one seed"});
  const auto many = comparison_text(example_comparison());
  EXPECT_EQ(many.find("* one seed"), std::string::npos);
}

TEST(ComparisonText, SaysHowManyReachedTheTarget) {
  auto late = read_example({.seed = 2});
  late.epochs.back().evaluation->all.metrics["strict"] = 0.6;
  const auto text =
      comparison_text(compare_runs({read_example({}), late}, {.target = 0.65}));
  expect_parts(text, {"1 of 2", "never (25 s - never)"});
}

TEST(ComparisonText, LongNamesAreNumberedAndListed) {
  const std::string longest = "a very long name of a setting, train.lr=0.001";
  const auto text = comparison_text(
      compare_runs({read_example({.lr = "1", .label = longest + "1"}),
                    read_example({.lr = "2", .label = longest + "2"})}));
  expect_parts(text,
               {"\n1 a very long name ...  ", "\n2 a very long name ...  ",
                "\n1 " + longest + "1\n", "\n2 " + longest + "2\n"});
}

}  // namespace
}  // namespace rsm::report
