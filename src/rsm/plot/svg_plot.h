#pragma once

#include <string>
#include <vector>

#include "rsm/plot/svg_axis.h"

/** Plots as inline SVG. They are functions of their arguments alone, byte for
 * byte. Numbers that are NaN or infinite are left out (a line is broken there);
 * each function returns "" where nothing is left to draw. Points tell their
 * numbers when pointed at. */
namespace rsm::report {

struct PlotSeries {
  std::string name;  ///< in the legend
  std::vector<double> x;
  std::vector<double> y;
  std::vector<double> error;  ///< half lengths of error bars, or empty
  int color = 1;              ///< see color_attributes
  bool points = true;
  bool thin = false;
  int dash = 0;  ///< 0 solid, 1 dashed, 2 dotted: for series of one colour
};

/** A dashed line across the plot. */
struct PlotGuide {
  double y = 0;
  std::string label;
};

struct LinePlot {
  std::string title;        ///< not drawn: for screen readers
  std::string description;  ///< so too
  std::string x_label;
  std::vector<PlotSeries> series;
  std::vector<PlotGuide> guides;
  /** Instead of round numbers. */
  std::vector<PlotTick> x_ticks;
  bool whole_x = false;    ///< ticks of x at whole numbers only
  bool from_zero = false;  ///< y begins at 0 or below
};
std::string line_plot(const LinePlot& plot);

/** Upright bars, one at each tick (whose `at` is not used). */
struct BarPlot {
  std::string title;
  std::string description;
  std::string x_label;
  std::vector<PlotTick> ticks;
  std::vector<double> values;
  std::vector<std::string> notes;  ///< above the bars, or empty
  int color = 1;
};
std::string bar_plot(const BarPlot& plot);

/** Lying bars in pairs, before (grey) over after, with numbers beside them.
 * Where all are in [0, 1] the range is [0, 1]. */
struct PairPlot {
  struct Row {
    std::string label;
    double before = 0;
    double after = 0;
    double error = 0;  ///< of `after`; NaN: not drawn
    std::string note;  ///< at the right end
  };
  std::string title;
  std::string description;
  std::vector<Row> rows;
};
std::string pair_plot(const PairPlot& plot);

/** Rows of dots over one axis, with a bar at their middle: how far repeated
 * measurements lie apart. The axis begins at 0 unless there are smaller
 * numbers, or where `from_zero` is off. */
struct DotPlot {
  struct Row {
    std::string label;
    std::vector<double> dots;
    double middle = 0;
    std::string note;  ///< at the right end
    int color = 1;     ///< see color_attributes
  };
  std::string title;
  std::string description;
  std::string x_label;
  std::vector<Row> rows;
  bool from_zero = true;
};
std::string dot_plot(const DotPlot& plot);

}  // namespace rsm::report
