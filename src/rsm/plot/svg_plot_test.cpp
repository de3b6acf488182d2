#include "rsm/plot/svg_plot.h"

#include <gtest/gtest.h>

#include <limits>

#include "rsm/io/testing.h"
#include "rsm/report/markup_testing.h"

namespace rsm::report {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<std::string> labels(const PlotAxis& axis) {
  std::vector<std::string> out;
  for (const auto& tick : axis.ticks) out.push_back(tick.label);
  return out;
}

using Labels = std::vector<std::string>;

LinePlot line_of(std::vector<double> x, std::vector<double> y) {
  LinePlot plot;
  plot.title = "title";
  plot.description = "description";
  plot.x_label = "epochs";
  plot.series = {
      {.name = "score", .x = std::move(x), .y = std::move(y), .error = {}}};
  return plot;
}

TEST(PlotAxis, TicksAreRound) {
  EXPECT_EQ(labels(make_axis({0.42, 0.61}, {4})),
            (Labels{"0.40", "0.45", "0.50", "0.55", "0.60", "0.65"}));
  EXPECT_EQ(labels(make_axis({0, 1}, {5})),
            (Labels{"0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(labels(make_axis({-3, 7}, {5, false})),
            (Labels{"-2", "0", "2", "4", "6"}));
  EXPECT_EQ(labels(make_axis({0, 3e-4}, {3})),
            (Labels{"0", "1e-4", "2e-4", "3e-4"}));
  EXPECT_EQ(labels(make_axis({0, 0}, {2})), (Labels{"0", "0.5", "1.0"}));
  EXPECT_EQ(labels(make_axis({0, 2}, {6, false, true})),
            (Labels{"0", "1", "2"}));
}

TEST(PlotAxis, EveryRangeCanBeDrawn) {
  for (const auto& values :
       std::vector<std::vector<double>>{{},
                                        {0},
                                        {5},
                                        {-5, -5},
                                        {1e-300},
                                        {kNan, kInf, -kInf},
                                        {1e29, -1e29},
                                        {1e300},
                                        {1, 1 + 1e-12},
                                        {1e15, 1e15 + 1}}) {
    for (const bool rounded : {true, false}) {
      for (const bool whole : {true, false}) {
        const auto axis = make_axis(values, {5, rounded, whole});
        EXPECT_LT(axis.low, axis.high);
        EXPECT_LE(axis.ticks.size(), 12u);
        for (const double value : values) {
          if (!can_plot(value)) continue;
          EXPECT_GE(axis.place(value), -1e-9);
          EXPECT_LE(axis.place(value), 1 + 1e-9);
        }
      }
    }
  }
}

TEST(LinePlot, DrawsEveryPointAndItsNumbers) {
  const auto svg = line_plot(line_of({0, 1, 2}, {0.4, 0.5, 0.6}));
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<circle"), 3);
  expect_parts(svg, {"<title>title</title><desc>description</desc>",
                     ">score</text>", "score 0.5 at 1 epochs"});
}

TEST(LinePlot, BreaksTheLineWhereNumbersAreMissing) {
  const auto svg =
      line_plot(line_of({0, 1, 2, 3, kNan}, {0.4, kNan, 0.6, 0.7, 1}));
  EXPECT_EQ(occurrences(svg, "<circle"), 3);
  const auto path = svg.substr(svg.find("<path"));
  EXPECT_EQ(occurrences(path.substr(0, path.find("/>")), "M"), 2);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(LinePlot, DrawsErrorBarsGuidesAndOwnTicks) {
  auto plot = line_of({0, 1}, {0.4, 0.5});
  plot.guides = {{0.45, "limit"}};
  plot.x_ticks = {{0, "first", "t 1"}, {1, "last", "t 0"}};
  const std::string error_bar = "stroke-opacity=\"0.6\"";
  EXPECT_EQ(occurrences(line_plot(plot), error_bar), 0);
  plot.series[0].error = {0.1, kNan};
  const auto svg = line_plot(plot);
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, error_bar), 1);
  expect_parts(svg, {">limit<", ">first<", ">t 0<", "stroke-dasharray"});
}

TEST(LinePlot, IsEmptyWithoutNumbers) {
  EXPECT_EQ(line_plot({}), "");
  EXPECT_EQ(line_plot(line_of({}, {})), "");
  EXPECT_EQ(line_plot(line_of({0, 1}, {kNan, kInf})), "");
  EXPECT_EQ(line_plot(line_of({0}, {})), "");
}

TEST(LinePlot, ShowsASinglePoint) {
  const auto svg = line_plot(line_of({3}, {0.5}));
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<circle"), 1);
}

TEST(LinePlot, LongLinesHaveNoPoints) {
  std::vector<double> x, y;
  for (int i = 0; i < 1000; ++i) {
    x.push_back(i);
    y.push_back(i % 7);
  }
  const auto svg = line_plot(line_of(x, y));
  EXPECT_EQ(occurrences(svg, "<circle"), 0);
  EXPECT_EQ(occurrences(svg, "<path"), 1);
}

TEST(LinePlot, DashesTellSeriesOfOneColourApart) {
  auto plot = line_of({0, 1}, {0.4, 0.5});
  EXPECT_EQ(occurrences(line_plot(plot), "stroke-dasharray"), 0);
  plot.series[0].dash = 1;
  // The line itself and its sample in the legend.
  EXPECT_EQ(occurrences(line_plot(plot), "stroke-dasharray"), 2);
  const auto dashed = line_plot(plot);
  plot.series[0].dash = 2;
  EXPECT_NE(line_plot(plot), dashed);
}

TEST(LinePlot, LongLegendsTakeNoRoomFromThePlot) {
  const auto height = [](size_t names) {
    auto plot = line_of({0, 1}, {0.4, 0.5});
    plot.series[0].name = "a name that takes the whole row of a legend";
    const auto series = plot.series[0];
    plot.series.resize(names, series);
    const auto svg = line_plot(plot);
    const size_t at = svg.find("viewBox=\"0 0 360 ") + 17;
    return std::stod(svg.substr(at));
  };
  EXPECT_EQ(height(1), height(2));
  EXPECT_EQ(height(6) - height(2), 4 * 16);
}

TEST(DotPlot, DrawsEveryDotAndItsMiddle) {
  DotPlot plot;
  plot.x_label = "minutes";
  plot.rows = {{"slow", {3, 5, kNan}, 4, "4 min", 1},
               {"never", {kInf}, kInf, "never", 2}};
  const auto svg = dot_plot(plot);
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<circle"), 2);
  expect_parts(svg, {">slow<", ">4 min<", ">never<", ">minutes<", ">0<"});
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  plot.from_zero = false;
  EXPECT_EQ(dot_plot(plot).find(">0<"), std::string::npos);
  plot.rows = {{"never", {kInf}, kInf, "never", 2}};
  EXPECT_EQ(dot_plot(plot), "");
  EXPECT_EQ(dot_plot({}), "");
}

TEST(BarPlot, DrawsOneBarForEachTick) {
  BarPlot plot;
  plot.ticks = {{0, "0", "1.00"}, {0, "1", "0.90"}, {0, "2", ""}};
  plot.values = {0.7, -0.2, kNan};
  plot.notes = {"K 8", "K 4"};
  const auto svg = bar_plot(plot);
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<rect"), 3);
  EXPECT_EQ(svg.find("height=\"-"), std::string::npos);
  expect_parts(svg, {">K 8<", ">0.90<", "0 1.00: 0.7, K 8"});
  plot.values = {kNan, kNan, kNan};
  EXPECT_EQ(bar_plot(plot), "");
  EXPECT_EQ(bar_plot({}), "");
}

TEST(PairPlot, SharesAreDrawnOnZeroToOne) {
  PairPlot plot;
  plot.rows = {{"counting", 0.2, 0.5, 0.05, "+0.30"},
               {"colors", kNan, 0.75, kNan, ""}};
  const auto svg = pair_plot(plot);
  EXPECT_EQ(tag_problem(svg), "");
  expect_parts(svg, {">counting<", ">0.20<", ">0.50<", ">+0.30<", ">1.0<"});
  EXPECT_EQ(svg.find("n/a"), std::string::npos);
  plot.rows = {{"counting", kNan, kNan, kNan, ""}};
  EXPECT_EQ(pair_plot(plot), "");
}

TEST(PairPlot, ErrorsWiderThanThePlotEndWithIt) {
  for (const double after : {0.5, -0.5}) {
    PairPlot plot;
    const auto line = [&](double error) {
      plot.rows = {{"counting", 0.2, after, error, ""}};
      const auto svg = pair_plot(plot);
      const size_t at = svg.find("ink-line");
      return svg.substr(svg.rfind('<', at), at - svg.rfind('<', at));
    };
    EXPECT_EQ(line(50), line(500)) << after;
    EXPECT_NE(line(0.01), line(0.02)) << after;
  }
}

TEST(Plots, EscapeTheirTexts) {
  auto plot = line_of({0, 1}, {0, 1});
  plot.title = plot.description = plot.x_label = "<script>";
  plot.series[0].name = "<script>\"";
  plot.guides = {{0.5, "<script>"}};
  BarPlot bars;
  bars.title = "<script>";
  bars.ticks = {{0, "<script>", "<script>"}};
  bars.values = {1};
  bars.notes = {"<script>"};
  PairPlot pairs;
  pairs.rows = {{"<script>", 0.5, 0.6, kNan, "<script>"}};
  DotPlot dots;
  dots.x_label = "<script>";
  dots.rows = {{"<script>", {0.5}, 0.5, "<script>", 1}};
  for (const auto& svg :
       {line_plot(plot), bar_plot(bars), pair_plot(pairs), dot_plot(dots)}) {
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(tag_problem(svg), "");
  }
}

}  // namespace
}  // namespace rsm::report
