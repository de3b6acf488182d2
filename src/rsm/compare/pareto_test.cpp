#include "rsm/compare/pareto.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "rsm/compare/comparison_data.h"
#include "rsm/compare/comparison_page.h"
#include "rsm/compare/comparison_testing.h"
#include "rsm/plot/markup_testing.h"

namespace rsm::report {
namespace {

using Watch = std::vector<WatchNumbers>;

/** A run whose evaluations have these watched numbers. */
ComparedRun watched_run(ExampleRun example, const Watch& watch) {
  auto run = read_example(example);
  for (size_t i = 0; i < watch.size(); ++i) {
    run.epochs[i].evaluation->watch = watch[i];
  }
  return run;
}

/** "costly" has the higher score and loses half its edges. */
Comparison example() {
  return compare_runs(
      {watched_run({.lr = "1",
                    .label = "mild",
                    .points = {{0, 0.4, 0}, {10, 0.6, 0.002}}},
                   {{{"edges", 0.2}, {"outputs", 0}},
                    {{"edges", 0.2}, {"outputs", 0}}}),
       watched_run({.lr = "2",
                    .label = "costly",
                    .points = {{0, 0.4, 0}, {10, 0.5, 0.003}, {20, 0.8, 0.01}}},
                   {{{"edges", 0.2}, {"outputs", 0}},
                    {{"edges", 0.2}, {"outputs", std::log(1.25)}},
                    {{"edges", 0.1}, {"outputs", 0}}})});
}

std::string marks(const std::vector<bool>& values) {
  std::string out;
  for (const bool value : values) out += value ? 'x' : '.';
  return out;
}

TEST(Undominated, AreThoseThatNoOtherBeats) {
  EXPECT_EQ(marks(undominated({1, 2, 3, 4}, {1, 3, 2, 4})), "xx.x");
  EXPECT_EQ(marks(undominated({1, 1, 1}, {1, 1, 0})), "xx.");  // equal ones
  EXPECT_EQ(marks(undominated({1, NAN, 0}, {1, 9, INFINITY})), "x..");
  EXPECT_EQ(marks(undominated({}, {})), "");
}

TEST(Undominated, RiseTogetherAndBeatAllOthers) {
  std::mt19937 random(5);
  std::uniform_int_distribution<int> number(0, 9);  // with ties
  std::vector<double> cost, score;
  for (int i = 0; i < 60; ++i) {
    cost.push_back(number(random));
    score.push_back(number(random));
  }
  const auto front = undominated(cost, score);
  const auto beats = [&](size_t a, size_t b) {
    return cost[a] <= cost[b] && score[a] >= score[b] &&
           (cost[a] < cost[b] || score[a] > score[b]);
  };
  for (size_t i = 0; i < cost.size(); ++i) {
    bool beaten = false;
    for (size_t j = 0; j < cost.size(); ++j) {
      if (front[j]) beaten = beaten || beats(j, i);
    }
    EXPECT_EQ(beaten, !front[i]) << i;
  }
}

TEST(FrontPoints, AreOfDriftAndOfWhatIsLost) {
  const auto comparison = example();
  const auto points = front_points(comparison);
  ASSERT_EQ(points.size(), 5u);
  for (const auto& point : points) {
    const auto& label = comparison.settings[point.setting].label();
    const bool last = label == "costly" && point.epoch == 2;
    const bool mild = label == "mild" && point.epoch == 1;
    // Before training and at each score for which nothing cheaper is known.
    EXPECT_EQ(point.best_by_drift, last || mild || point.epoch == 0);
    EXPECT_EQ(point.best_by_loss, last || mild) << label << point.epoch;
    EXPECT_NEAR(point.kept,
                last                        ? 0.5
                : point.epoch == 1 && !mild ? 0.8
                                            : 1,
                1e-12);
  }
}

TEST(FrontPoints, AreMeansOverSeeds) {
  const Watch whole = {{{"edges", 0.2}}, {{"edges", 0.2}}};
  const Watch half = {{{"edges", 0.2}}, {{"edges", 0.1}}};
  const auto of = [](uint64_t seed, double score, double kl,
                     const Watch& watch) {
    return watched_run({.seed = seed, .points = {{0, 0.4, 0}, {10, score, kl}}},
                       watch);
  };
  auto longer = of(3, 0.6, 0.02, whole);
  longer.epochs.back().epoch = 5;
  const auto points = front_points(
      compare_runs({of(1, 0.5, 0.01, whole), of(2, 0.7, 0.03, half)}));
  ASSERT_EQ(points.size(), 2u);
  EXPECT_NEAR(points[1].score, 0.6, 1e-12);
  EXPECT_NEAR(points[1].kl, 0.02, 1e-12);
  EXPECT_NEAR(points[1].kept, 0.75, 1e-12);
  EXPECT_NEAR(points[1].ratios.at("edges"), 0.75, 1e-12);
  // An epoch that a seed was not evaluated at is no point.
  EXPECT_EQ(
      front_points(compare_runs({of(1, 0.5, 0.01, whole), longer})).size(), 1u);
}

TEST(ParetoFiles, HaveEveryEvaluationAndItsFront) {
  const auto comparison = example();
  const auto csv = pareto_csv(comparison);
  expect_parts(csv, {"label,seeds,epoch,score,kl,kept,best_by_drift,"
                     "best_by_loss,watch_edges,watch_outputs\n",
                     "costly,1,2,0.8,0.01,0.5,1,1,0.5,1\n",
                     "mild,1,1,0.6,0.002,1,1,1,1,1\n"});
  EXPECT_EQ(occurrences(csv, "\n"), 6);
  const auto front = front_table(comparison);
  ASSERT_EQ(front.rows.size(), 4u);
  for (const auto& row : front.rows) EXPECT_EQ(row.size(), front.head.size());
  const auto watch = watch_table(comparison);
  EXPECT_EQ(watch.head,
            (std::vector<std::string>{"setting", "edges", "outputs"}));
  EXPECT_EQ(watch.rows[0],
            (std::vector<std::string>{"costly", "0.50×", "1.00×"}));
  EXPECT_EQ(to_json(comparison)["front"].size(), 4u);
}

TEST(ParetoFigures, DrawADotAnEvaluationAndTheFront) {
  const auto comparison = example();
  for (const auto& svg :
       {drift_front_plot(comparison), loss_front_plot(comparison)}) {
    EXPECT_EQ(tag_problem(svg), "");
    EXPECT_EQ(occurrences(svg, "<circle"), 5);
    EXPECT_EQ(occurrences(svg, "<path"), 1);
  }
  const auto page = comparison_html(comparison);
  expect_parts(page, {"What nobody optimised", "What score costs in drift",
                      "Settings and epochs that no other beats"});
}

TEST(ParetoFigures, LeaveOutWhatLogsOfBeforeLack) {
  const auto comparison = compare_runs({read_example({})});
  EXPECT_EQ(loss_front_plot(comparison), "");
  EXPECT_TRUE(watch_table(comparison).rows.empty());
  EXPECT_NE(drift_front_plot(comparison), "");
}

}  // namespace
}  // namespace rsm::report
