#pragma once

#include <string>
#include <vector>

#include "rsm/plot/svg_axis.h"

/** Plots as inline SVG. They are functions of their arguments alone, byte for
 * byte. Numbers that are NaN or infinite are left out (a line is broken there);
 * "" where nothing is left to draw. Points tell their numbers when pointed at.
 */
namespace rsm::report {

struct PlotSeries {
  enum class Shape {
    line,     ///< with points, where they are few
    dots,     ///< points alone
    bars,     ///< short upright bars
    columns,  ///< from 0 to y, one a whole number x
  };

  std::string name = {};  ///< in the legend
  std::vector<double> x = {};
  std::vector<double> y = {};
  /** Half lengths of error bars, or empty: of y, in a plot of rows of x. */
  std::vector<double> error = {};
  std::vector<std::string> notes = {};  ///< above the columns, or empty
  int color = 1;                        ///< see color_attributes
  Shape shape = Shape::line;
  bool points = true;
  bool thin = false;
  int dash = 0;  ///< 0 solid, 1 dashed, 2 dotted: for series of one colour
};

/** A dashed line across the plot. */
struct PlotGuide {
  double y = 0;
  std::string label;
};

/** Numbers y against x; or, where there are rows, x alone: y is then the row,
 * counted from the top. Error bars end with the plot. */
struct LinePlot {
  std::string title = {};        ///< not drawn: for screen readers
  std::string description = {};  ///< so too
  std::string x_label = {};
  std::vector<PlotSeries> series = {};
  std::vector<PlotGuide> guides = {};
  /** Instead of round numbers. */
  std::vector<PlotTick> x_ticks = {};
  std::vector<PlotTick> y_ticks = {};  ///< so too; not with rows
  std::vector<PlotTick> rows = {};     ///< their `at` is not used
  bool whole_x = false;                ///< ticks of x at whole numbers only
  /** What the axis of the numbers reaches besides them, such as 0. */
  std::vector<double> reached = {};
};
std::string line_plot(const LinePlot& plot);

/** An SVG that is a file of its own: with its namespace, on white. "" of "". */
std::string svg_file(const std::string& svg);

}  // namespace rsm::report
