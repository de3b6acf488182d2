#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"

namespace rsm::report {
namespace {

constexpr double kWidth = 420;
constexpr double kTop = 6;
constexpr double kRowHeight = 27;
constexpr double kLetters = 12.5;  ///< size
constexpr double kMostLabelWidth = 0.4 * kWidth;

struct Track {
  PlotAxis axis;
  double left = 0;
  double right = 0;

  double across(double value) const {
    return left + (right - left) * axis.place(value);
  }
};

bool has_dots(const DotPlot::Row& row) {
  return std::any_of(row.dots.begin(), row.dots.end(), can_plot);
}

Track make_track(const DotPlot& plot) {
  std::vector<double> values;
  if (plot.from_zero) values.push_back(0);
  double label = 0, note = 0;
  for (const auto& row : plot.rows) {
    values.insert(values.end(), row.dots.begin(), row.dots.end());
    label = std::max(label, text_width(row.label, kLetters));
    note = std::max(note, text_width(row.note, kLetters));
  }
  Track track;
  track.axis = make_axis(values, {4});
  track.left = std::min(label, kMostLabelWidth) + 10;
  track.right = kWidth - note - 12;
  return track;
}

std::string vertical(double x, double y, double half, const char* width) {
  return svg_line(x, y - half, x, y + half,
                  cat(" stroke=\"currentColor\" stroke-width=\"", width, "\""));
}

std::string draw_row(const DotPlot::Row& row, const Track& track, double y,
                     const std::string& x_label) {
  std::string drawn =
      svg_line(track.left, y, track.right, y,
               " stroke=\"currentColor\" stroke-opacity=\"0.25\"");
  for (const double dot : row.dots) {
    if (!can_plot(dot)) continue;
    drawn += "<circle" + svg_attribute("cx", track.across(dot)) +
             svg_attribute("cy", y) +
             " r=\"4\" fill=\"currentColor\" fill-opacity=\"0.55\"><title>" +
             escape_html(format_short(dot) + " " + x_label) +
             "</title></circle>";
  }
  if (can_plot(row.middle)) {
    drawn += vertical(track.across(row.middle), y, 9, "2.5");
  }
  return svg_text(track.left - 8, y + 4, row.label,
                  {.anchor = "end", .size = kLetters, .muted = false}) +
         "<g" + color_attributes(row.color) + ">" + drawn + "</g>" +
         svg_text(kWidth - 2, y + 4, row.note,
                  {.anchor = "end", .size = kLetters, .muted = false});
}

}  // namespace

std::string dot_plot(const DotPlot& plot) {
  if (std::none_of(plot.rows.begin(), plot.rows.end(), has_dots)) return "";
  const auto track = make_track(plot);
  std::string content;
  double y = kTop;
  for (const auto& row : plot.rows) {
    content += draw_row(row, track, y + kRowHeight / 2, plot.x_label);
    y += kRowHeight;
  }
  for (const auto& tick : track.axis.ticks) {
    content +=
        svg_text(track.across(tick.at), y + 12, tick.label, {"middle", 11});
  }
  content += svg_text((track.left + track.right) / 2, y + 28, plot.x_label,
                      {"middle", 11.5});
  return svg_document(kWidth, y + 34, plot.title, plot.description, content);
}

}  // namespace rsm::report
