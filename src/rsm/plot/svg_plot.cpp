#include "rsm/plot/svg_plot.h"

#include <algorithm>
#include <cmath>

#include "rsm/plot/format.h"

namespace rsm::report {
namespace {

constexpr double kWidth = 360;
constexpr double kHeight = 230;
constexpr double kRight = 16;
constexpr double kLineHeight = 16;
constexpr double kSmall = 10.5;
/** A legend beyond this makes the picture taller: two rows. */
constexpr double kLegendRoom = 42;
/** More points than this are drawn as a line alone. */
constexpr size_t kMostPoints = 80;

struct Frame {
  PlotAxis x;
  PlotAxis y;
  double left = 0;
  double top = 0;
  double right = kWidth - kRight;
  double bottom = 0;
  double height = kHeight;  ///< of the whole picture

  double across(double value) const {
    return left + (right - left) * x.place(value);
  }
  double down(double value) const {
    return bottom - (bottom - top) * y.place(value);
  }
};

std::string group(const std::string& attributes, const std::string& content) {
  return "<g" + attributes + ">" + content + "</g>";
}

/** "name: a at b", shown when pointed at. */
std::string hover(const std::string& text) {
  return "<title>" + escape_html(text) + "</title>";
}

/** Margins by the labels; `top` is given, and taken from the plot only as far
 * as a short legend goes. */
Frame make_frame(PlotAxis x, PlotAxis y, double top, bool x_has_label) {
  Frame frame;
  double width = 0;
  for (const auto& tick : y.ticks) {
    width = std::max(width, text_width(tick.label, 11));
  }
  double below = 18;
  for (const auto& tick : x.ticks) {
    if (!tick.below.empty()) below = 31;
  }
  frame.left = width + 14;
  frame.top = top;
  frame.height = kHeight + std::max(0.0, top - kLegendRoom);
  frame.bottom = frame.height - below - (x_has_label ? kLineHeight : 0);
  frame.x = std::move(x);
  frame.y = std::move(y);
  return frame;
}

std::string draw_axes(const Frame& frame, const std::string& x_label) {
  std::string grid, words;
  for (const auto& tick : frame.y.ticks) {
    const double y = frame.down(tick.at);
    grid += svg_line(
        frame.left, y, frame.right, y,
        tick.at == 0 ? " stroke-opacity=\"0.5\"" : " stroke-opacity=\"0.16\"");
    words += svg_text(frame.left - 6, y + 4, tick.label, {"end", 11});
  }
  for (const auto& tick : frame.x.ticks) {
    const double x = frame.across(tick.at);
    grid += svg_line(x, frame.bottom, x, frame.bottom + 4,
                     " stroke-opacity=\"0.5\"");
    words += svg_text(x, frame.bottom + 16, tick.label, {"middle", 11});
    if (!tick.below.empty()) {
      words += svg_text(x, frame.bottom + 29, tick.below, {"middle", kSmall});
    }
  }
  if (!x_label.empty()) {
    words += svg_text((frame.left + frame.right) / 2, frame.height - 4, x_label,
                      {"middle", 11.5});
  }
  return group(" class=\"c0\" color=\"#8a919c\" stroke=\"currentColor\"",
               grid) +
         words;
}

bool has_points(const PlotSeries& series) {
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (can_plot(series.x[i]) && can_plot(series.y[i])) return true;
  }
  return false;
}

const char* dashes(const PlotSeries& series) {
  if (series.dash == 0) return "";
  return series.dash == 1 ? " stroke-dasharray=\"6 3\""
                          : " stroke-dasharray=\"1 4\"";
}

/** Names with samples of their colours; moves `y` below the last row. */
std::string draw_legend(const std::vector<PlotSeries>& all, double& y) {
  std::string out;
  double x = 4;
  y += 4;
  bool any = false;
  for (const auto& series : all) {
    if (series.name.empty() || !has_points(series)) continue;
    const double width = 24 + text_width(series.name) + 14;
    if (any && x + width > kWidth) {
      x = 4;
      y += kLineHeight;
    }
    out += group(color_attributes(series.color),
                 svg_line(x, y + 6, x + 18, y + 6,
                          " stroke=\"currentColor\" stroke-width=\"" +
                              std::string(series.thin ? "1.5" : "3") + "\"" +
                              dashes(series)));
    out += svg_text(x + 24, y + 10, series.name, {.muted = false});
    x += width;
    any = true;
  }
  y += any ? kLineHeight + 6 : 6;
  return out;
}

/** The line, broken where numbers are missing. */
std::string draw_path(const PlotSeries& series, const Frame& frame) {
  std::string path;
  bool pen_down = false;
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    const bool known = can_plot(series.x[i]) && can_plot(series.y[i]);
    if (known) {
      path += (pen_down ? "L" : "M") +
              format_fixed(frame.across(series.x[i]), 1) + " " +
              format_fixed(frame.down(series.y[i]), 1);
    }
    pen_down = known;
  }
  return svg_element(
      "path", " d=\"" + path +
                  "\" fill=\"none\" stroke=\"currentColor\" stroke-width=\"" +
                  (series.thin ? "1.3\" stroke-opacity=\"0.4" : "2.2") +
                  "\" stroke-linejoin=\"round\" stroke-linecap=\"round\"" +
                  dashes(series));
}

std::string draw_points(const PlotSeries& series, const Frame& frame,
                        const std::string& x_label) {
  std::string out;
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!can_plot(series.x[i]) || !can_plot(series.y[i])) continue;
    const double x = frame.across(series.x[i]), y = frame.down(series.y[i]);
    const double error = i < series.error.size() ? series.error[i] : 0;
    if (can_plot(error) && error > 0) {
      out += svg_line(x, frame.down(series.y[i] - error), x,
                      frame.down(series.y[i] + error),
                      " stroke=\"currentColor\" stroke-opacity=\"0.6\"");
    }
    const std::string numbers = series.name + " " + format_short(series.y[i]) +
                                " at " + format_short(series.x[i]) + " " +
                                x_label;
    out += "<circle" + svg_attribute("cx", x) + svg_attribute("cy", y) +
           svg_attribute("r", series.thin ? 1.8 : 3.2) +
           " fill=\"currentColor\">" + hover(numbers) + "</circle>";
  }
  return out;
}

std::string draw_guides(const LinePlot& plot, const Frame& frame) {
  std::string out;
  for (const auto& guide : plot.guides) {
    if (!can_plot(guide.y)) continue;
    const double y = frame.down(guide.y);
    out += group(color_attributes(2),
                 svg_line(frame.left, y, frame.right, y,
                          " stroke=\"currentColor\" stroke-width=\"1.5\" "
                          "stroke-dasharray=\"5 4\""));
    out += svg_text(frame.right, y - 5, guide.label, {"end", 11});
  }
  return out;
}

std::vector<double> all_y(const LinePlot& plot) {
  std::vector<double> out;
  if (plot.from_zero) out.push_back(0);
  for (const auto& guide : plot.guides) out.push_back(guide.y);
  for (const auto& series : plot.series) {
    for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (!can_plot(series.x[i])) continue;
      const double error = i < series.error.size() ? series.error[i] : 0;
      const double room = can_plot(error) ? error : 0;
      out.push_back(series.y[i] - room);
      out.push_back(series.y[i] + room);
    }
  }
  return out;
}

std::vector<double> all_x(const LinePlot& plot) {
  std::vector<double> out;
  for (const auto& tick : plot.x_ticks) out.push_back(tick.at);
  for (const auto& series : plot.series) {
    for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (can_plot(series.y[i])) out.push_back(series.x[i]);
    }
  }
  return out;
}

}  // namespace

std::string line_plot(const LinePlot& plot) {
  if (std::none_of(plot.series.begin(), plot.series.end(), has_points)) {
    return "";
  }
  double top = 0;
  const std::string legend = draw_legend(plot.series, top);
  auto x = make_axis(all_x(plot), {6, false, plot.whole_x});
  if (!plot.x_ticks.empty()) x.ticks = plot.x_ticks;
  const Frame frame = make_frame(std::move(x), make_axis(all_y(plot), {4}), top,
                                 !plot.x_label.empty());
  std::string content = legend + draw_axes(frame, plot.x_label);
  content += draw_guides(plot, frame);
  for (const auto& series : plot.series) {
    if (!has_points(series)) continue;
    std::string drawn = draw_path(series, frame);
    // A path of one point shows nothing.
    const bool few = series.y.size() <= kMostPoints;
    if ((series.points && few) || series.y.size() == 1) {
      drawn += draw_points(series, frame, plot.x_label);
    }
    content += group(color_attributes(series.color), drawn);
  }
  return svg_document(kWidth, frame.height, plot.title, plot.description,
                      content);
}

std::string bar_plot(const BarPlot& plot) {
  const size_t count = std::min(plot.values.size(), plot.ticks.size());
  const auto end = plot.values.begin() + static_cast<int64_t>(count);
  if (std::none_of(plot.values.begin(), end, can_plot)) return "";
  std::vector<double> range(plot.values.begin(), end);
  range.push_back(0);
  PlotAxis x;
  x.low = -0.5;
  x.high = static_cast<double>(count) - 0.5;
  for (size_t i = 0; i < count; ++i) {
    x.ticks.push_back(plot.ticks[i]);
    x.ticks.back().at = static_cast<double>(i);
  }
  const Frame frame =
      make_frame(std::move(x), make_axis(range, {4}),
                 plot.notes.empty() ? 10 : 24, !plot.x_label.empty());
  const double width =
      0.72 * (frame.right - frame.left) / static_cast<double>(count);
  std::string bars, words;
  for (size_t i = 0; i < count; ++i) {
    const double value = can_plot(plot.values[i]) ? plot.values[i] : 0;
    const double middle = frame.across(static_cast<double>(i));
    const double top = frame.down(std::max(value, 0.0));
    const double height = frame.down(std::min(value, 0.0)) - top;
    const bool noted = i < plot.notes.size() && !plot.notes[i].empty();
    bars += "<rect" + svg_attribute("x", middle - width / 2) +
            svg_attribute("y", top) + svg_attribute("width", width) +
            svg_attribute("height", height) + " fill=\"currentColor\">" +
            hover(plot.ticks[i].label + " " + plot.ticks[i].below + ": " +
                  format_short(plot.values[i]) +
                  (noted ? ", " + plot.notes[i] : "")) +
            "</rect>";
    if (noted) {
      words += svg_text(middle, top - 5, plot.notes[i], {"middle", kSmall});
    }
  }
  return svg_document(kWidth, kHeight, plot.title, plot.description,
                      draw_axes(frame, plot.x_label) +
                          group(color_attributes(plot.color), bars) + words);
}

}  // namespace rsm::report
