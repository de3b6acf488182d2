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
constexpr double kRowHeight = 30;
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
  bool is_axis() const { return y.low < y.high; }  ///< else y counts rows
};

std::string group(const std::string& attributes, const std::string& content) {
  return "<g" + attributes + ">" + content + "</g>";
}

/** "name: a at b", shown when pointed at. */
std::string hover(const std::string& text) {
  return "<title>" + escape_html(text) + "</title>";
}

double widest(const std::vector<PlotTick>& ticks) {
  double width = 0;
  for (const auto& tick : ticks) {
    width = std::max(
        {width, text_width(tick.label, 11), text_width(tick.below, kSmall)});
  }
  return width;
}

/** Margins by the labels; `top` is given, and taken from the plot only as far
 * as a short legend goes. */
Frame make_frame(PlotAxis x, PlotAxis y, double top, bool x_has_label) {
  Frame frame;
  double below = 18;
  for (const auto& tick : x.ticks) {
    if (!tick.below.empty()) below = 31;
  }
  frame.left = widest(y.ticks) + 14;
  frame.top = top;
  frame.height = kHeight + std::max(0.0, top - kLegendRoom);
  frame.bottom = frame.height - below - (x_has_label ? kLineHeight : 0);
  frame.x = std::move(x);
  frame.y = std::move(y);
  return frame;
}

/** Of so many rows below each other instead of an axis. */
Frame make_row_frame(PlotAxis x, const std::vector<PlotTick>& rows,
                     double top) {
  const auto count = static_cast<double>(rows.size());
  PlotAxis y = {count - 0.5, -0.5, rows};
  for (size_t i = 0; i < rows.size(); ++i) {
    y.ticks[i].at = static_cast<double>(i);
  }
  Frame frame = make_frame(std::move(x), std::move(y), top, true);
  frame.height += frame.top + count * kRowHeight - frame.bottom;
  frame.bottom = frame.top + count * kRowHeight;
  return frame;
}

std::string draw_axes(const Frame& frame, const std::string& x_label) {
  std::string grid, words;
  for (const auto& tick : frame.y.ticks) {
    const double y = frame.down(tick.at);
    const bool two = !tick.below.empty();
    grid +=
        svg_line(frame.left, y, frame.right, y,
                 tick.at == 0 && frame.is_axis() ? " stroke-opacity=\"0.5\""
                                                 : " stroke-opacity=\"0.16\"");
    words += svg_text(frame.left - 6, two ? y - 1 : y + 4, tick.label,
                      {.anchor = "end", .size = 11, .muted = frame.is_axis()});
    if (two) {
      words += svg_text(frame.left - 6, y + 11, tick.below, {"end", kSmall});
    }
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

/** As far as it lies within the plot. */
std::string draw_error(const PlotSeries& series, size_t i, const Frame& frame) {
  const double error = i < series.error.size() ? series.error[i] : 0;
  if (!can_plot(error) || error <= 0) return "";
  const double x = frame.across(series.x[i]), y = frame.down(series.y[i]);
  const char* style = " stroke=\"currentColor\" stroke-opacity=\"0.6\"";
  if (frame.is_axis()) {
    return svg_line(x, frame.down(series.y[i] - error), x,
                    frame.down(series.y[i] + error), style);
  }
  const auto inside = [&](double value) {
    return std::clamp(frame.across(value), frame.left, frame.right);
  };
  return svg_line(inside(series.x[i] - error), y, inside(series.x[i] + error),
                  y, style);
}

std::string draw_column(const PlotSeries& series, size_t i, const Frame& frame,
                        const std::string& words) {
  const double width = 0.72 * (frame.across(1) - frame.across(0));
  const double x = frame.across(series.x[i]);
  const double top = frame.down(std::max(series.y[i], 0.0));
  const double bottom = frame.down(std::min(series.y[i], 0.0));
  const std::string note = i < series.notes.size() ? series.notes[i] : "";
  return "<rect" + svg_attribute("x", x - width / 2) + svg_attribute("y", top) +
         svg_attribute("width", width) + svg_attribute("height", bottom - top) +
         " fill=\"currentColor\">" +
         hover(words + (note.empty() ? "" : ", " + note)) + "</rect>" +
         (note.empty() ? "" : svg_text(x, top - 5, note, {"middle", kSmall}));
}

std::string draw_points(const PlotSeries& series, const Frame& frame,
                        const std::string& x_label) {
  using Shape = PlotSeries::Shape;
  constexpr double kBar = 9;  // half its length
  std::string out;
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!can_plot(series.x[i]) || !can_plot(series.y[i])) continue;
    const double x = frame.across(series.x[i]), y = frame.down(series.y[i]);
    const std::string of_y =
        frame.is_axis() ? " " + format_short(series.y[i]) + " at" : "";
    const auto words =
        series.name + of_y + " " + format_short(series.x[i]) + " " + x_label;
    if (series.shape == Shape::bars) {
      out += svg_line(x, y - kBar, x, y + kBar,
                      " stroke=\"currentColor\" stroke-width=\"2.5\"");
    } else if (series.shape == Shape::columns) {
      out += draw_column(series, i, frame, words);
    } else {
      const bool dot = series.shape == Shape::dots;
      out += draw_error(series, i, frame) + "<circle" + svg_attribute("cx", x) +
             svg_attribute("cy", y) +
             svg_attribute("r", dot ? 4 : (series.thin ? 1.8 : 3.2)) +
             " fill=\"currentColor\"" + (dot ? " fill-opacity=\"0.7\">" : ">") +
             hover(words) + "</circle>";
    }
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
  std::vector<double> out = plot.reached;
  for (const auto& guide : plot.guides) out.push_back(guide.y);
  for (const auto& tick : plot.y_ticks) out.push_back(tick.at);
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
  if (!plot.rows.empty()) out = plot.reached;
  for (const auto& tick : plot.x_ticks) out.push_back(tick.at);
  for (const auto& series : plot.series) {
    for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
      if (!can_plot(series.y[i])) continue;
      const bool wide = series.shape == PlotSeries::Shape::columns;
      out.push_back(series.x[i] - (wide ? 0.5 : 0));
      out.push_back(series.x[i] + (wide ? 0.5 : 0));
    }
  }
  return out;
}

Frame frame_of(const LinePlot& plot, double top) {
  if (!plot.rows.empty()) {
    return make_row_frame(make_axis(all_x(plot), {4}), plot.rows, top);
  }
  auto x = make_axis(all_x(plot), {6, false, plot.whole_x});
  if (!plot.x_ticks.empty()) x.ticks = plot.x_ticks;
  auto y = make_axis(all_y(plot), {4, plot.y_ticks.empty()});
  if (!plot.y_ticks.empty()) y.ticks = plot.y_ticks;
  return make_frame(std::move(x), std::move(y), top, !plot.x_label.empty());
}

}  // namespace

std::string line_plot(const LinePlot& plot) {
  if (std::none_of(plot.series.begin(), plot.series.end(), has_points)) {
    return "";
  }
  double top = 0;
  const std::string legend = draw_legend(plot.series, top);
  const bool noted = std::any_of(
      plot.series.begin(), plot.series.end(),
      [](const PlotSeries& series) { return !series.notes.empty(); });
  if (noted) top += kLineHeight;
  const Frame frame = frame_of(plot, top);
  std::string content = legend + draw_axes(frame, plot.x_label);
  content += draw_guides(plot, frame);
  for (const auto& series : plot.series) {
    if (!has_points(series)) continue;
    const bool line = series.shape == PlotSeries::Shape::line;
    std::string drawn = line ? draw_path(series, frame) : "";
    // A path of one point shows nothing.
    const bool few = series.y.size() <= kMostPoints;
    if (!line || (series.points && few) || series.y.size() == 1) {
      drawn += draw_points(series, frame, plot.x_label);
    }
    content += group(color_attributes(series.color), drawn);
  }
  return svg_document(kWidth, frame.height, plot.title, plot.description,
                      content);
}

std::string svg_file(const std::string& svg) {
  if (svg.empty()) return "";
  const std::string open = "<svg";
  return open +
         " xmlns=\"http://www.w3.org/2000/svg\" style=\"background:#fff\"" +
         svg.substr(open.size()) + "\n";
}

}  // namespace rsm::report
