#include "rsm/plot/svg_plot.h"

#include <gtest/gtest.h>

#include <limits>

#include "rsm/io/testing.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/plot/testing.h"

namespace rsm::report {
namespace {

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
  plot.series = {{.name = "score", .x = std::move(x), .y = std::move(y)}};
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
  plot.y_ticks = {{-1, "a tenth", ""}, {0.6, "four", ""}};
  const auto ticked = line_plot(plot);
  expect_parts(ticked, {">a tenth<", ">four<"});
  EXPECT_EQ(ticked.find(">0.4<"), std::string::npos);
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

/** Dots in rows below each other. */
LinePlot rows_of(std::vector<double> x, std::vector<double> error) {
  LinePlot plot;
  plot.x_label = "minutes";
  PlotSeries dots = {.name = "after",
                     .x = x,
                     .error = error,
                     .shape = PlotSeries::Shape::dots};
  for (size_t i = 0; i < x.size(); ++i) {
    dots.y.push_back(static_cast<double>(i));
    plot.rows.push_back({0, cat("row ", i), cat("note ", i)});
  }
  plot.series = {dots};
  return plot;
}

TEST(LinePlot, RowsStandInOrderWithTheirNotes) {
  auto plot = rows_of({3, kInf, 5}, {});
  auto bar = plot.series[0];
  bar.shape = PlotSeries::Shape::bars;
  bar.x = {4, kInf, kInf};
  plot.series.push_back(bar);
  const auto svg = line_plot(plot);
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<circle"), 2);
  EXPECT_EQ(occurrences(svg, "stroke-width=\"2.5\""), 1);
  expect_parts(
      svg, {">row 0<", ">note 1<", ">row 2<", ">minutes<", "after 3 minutes"});
  EXPECT_EQ(svg.find("inf"), std::string::npos);
  const auto height_of = [&](const std::string& text) {
    const size_t end = svg.find(">" + text + "<");
    const size_t at = svg.find(" y=\"", svg.rfind('<', end));
    return std::stod(svg.substr(at + 4));
  };
  EXPECT_LT(height_of("row 0"), height_of("row 1"));
  EXPECT_LT(height_of("row 1"), height_of("row 2"));
  EXPECT_EQ(svg.find(">0<"), std::string::npos);
  plot.reached = {0};
  EXPECT_NE(line_plot(plot).find(">0<"), std::string::npos);
  EXPECT_EQ(line_plot(rows_of({kInf, kNan}, {})), "");
}

TEST(LinePlot, ErrorsOfRowsThatAreWiderThanThePlotEndWithIt) {
  for (const double after : {0.5, -0.5}) {
    const auto line = [&](double error) {
      const auto svg = line_plot(rows_of({0.2, after}, {kNan, error}));
      const size_t at = svg.find("stroke-opacity=\"0.6\"");
      return svg.substr(svg.rfind('<', at), at - svg.rfind('<', at));
    };
    EXPECT_EQ(line(50), line(500)) << after;
    EXPECT_NE(line(0.01), line(0.02)) << after;
  }
}

TEST(LinePlot, ColumnsStandOnZero) {
  auto plot = line_of({0, 1, 2}, {0.7, -0.2, kNan});
  plot.reached = {0};
  plot.series[0].shape = PlotSeries::Shape::columns;
  plot.series[0].notes = {"K 8", "", "K 4"};
  const auto svg = line_plot(plot);
  EXPECT_EQ(tag_problem(svg), "");
  EXPECT_EQ(occurrences(svg, "<rect"), 2);
  EXPECT_EQ(svg.find("height=\"-"), std::string::npos);
  EXPECT_EQ(svg.find("K 4"), std::string::npos);
  expect_parts(svg, {">K 8<", "0.7 at 0 epochs, K 8"});
}

TEST(Plots, EscapeTheirTexts) {
  auto plot = line_of({0, 1}, {0, 1});
  plot.title = plot.description = plot.x_label = "<script>";
  plot.series[0].name = "<script>\"";
  plot.guides = {{0.5, "<script>"}};
  auto bars = plot;
  bars.series[0].shape = PlotSeries::Shape::columns;
  bars.series[0].notes = {"<script>"};
  auto rows = rows_of({1}, {});
  rows.rows = {{0, "<script>", "<script>"}};
  for (const auto& svg : {line_plot(plot), line_plot(bars), line_plot(rows)}) {
    EXPECT_EQ(svg.find("<script"), std::string::npos);
    EXPECT_EQ(tag_problem(svg), "");
  }
}

}  // namespace
}  // namespace rsm::report
