#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "rsm/compare/comparison.h"

namespace rsm::report {

/** How plots show the setting of this place: its colour (see color_attributes),
 * and how its line is dashed (see PlotSeries). Fifteen look different. */
int color_of(size_t setting);
int dash_of(size_t setting);

/** A plot of a comparison, to stand inline in a page. */
struct ComparisonFigure {
  std::string file;  ///< "compare-time.svg"
  std::string title;
  std::string note;
  std::string svg;
};

/** Score by training time, pictures, network evaluations and drift; the spread
 * over seeds of time to the target and of score at equal drift. Plots without
 * numbers are left out. */
std::vector<ComparisonFigure> comparison_figures(const Comparison& comparison);

/** One HTML page that stands alone, in the look of a run's report. */
std::string comparison_html(const Comparison& comparison);

/** Writes compare.html, compare.csv (a line a setting), curves.csv (a line an
 * evaluation) and the plots as SVG files into a folder, which is made if need
 * be; each file atomically. All bytes depend on the comparison alone. Returns
 * the paths. */
std::vector<std::string> write_comparison(const Comparison& comparison,
                                          const std::string& folder);

}  // namespace rsm::report
