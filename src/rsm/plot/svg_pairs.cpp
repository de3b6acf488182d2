#include <algorithm>
#include <cmath>

#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"

namespace rsm::report {
namespace {

constexpr double kWidth = 420;
constexpr double kTop = 26;
constexpr double kRowHeight = 37;
constexpr double kNumberWidth = 40;
constexpr double kNoteWidth = 48;

struct Columns {
  PlotAxis axis;
  double left = 0;
  double right = 0;

  double across(double value) const {
    return left + (right - left) * axis.place(value);
  }
};

Columns make_columns(const std::vector<PairPlot::Row>& rows) {
  std::vector<double> values = {0};
  double label = 0;
  for (const auto& row : rows) {
    values.insert(values.end(), {row.before, row.after});
    label = std::max(label, text_width(row.label, 13));
  }
  const bool shares = std::all_of(values.begin(), values.end(), [](double v) {
    return !can_plot(v) || (v >= 0 && v <= 1);
  });
  if (shares) values.push_back(1);
  Columns columns;
  columns.axis = make_axis(values, {4});
  columns.left = std::min(label + 12, 0.4 * kWidth);
  columns.right = kWidth - kNoteWidth - kNumberWidth;
  return columns;
}

std::string draw_bar(const Columns& columns, double value, double y,
                     double height, int color) {
  const double from = columns.across(std::min(value, 0.0));
  const double to = columns.across(std::max(value, 0.0));
  return "<g" + color_attributes(color) + ">" +
         svg_element("rect", svg_attribute("x", from) + svg_attribute("y", y) +
                                 svg_attribute("width", to - from) +
                                 svg_attribute("height", height) +
                                 " rx=\"1.5\" fill=\"currentColor\"") +
         "</g>";
}

std::string draw_row(const Columns& columns, const PairPlot::Row& row,
                     double y) {
  std::string out = svg_text(columns.left - 8, y + 20, row.label,
                             {.anchor = "end", .size = 13, .muted = false});
  out +=
      "<g class=\"c0\" color=\"#8a919c\">" +
      svg_element("rect",
                  svg_attribute("x", columns.left) + svg_attribute("y", y + 4) +
                      svg_attribute("width", columns.right - columns.left) +
                      " height=\"25\" fill=\"currentColor\" "
                      "fill-opacity=\"0.1\"") +
      "</g>";
  if (can_plot(row.before)) {
    out += draw_bar(columns, row.before, y + 4, 9, 0);
    out += svg_text(columns.across(std::max(row.before, 0.0)) + 4, y + 12.5,
                    format_fixed(row.before, 2), {.size = 10});
  }
  if (can_plot(row.after)) {
    const double end = columns.across(std::max(row.after, 0.0));
    out += draw_bar(columns, row.after, y + 15, 14, 1);
    double number_at = end + 4;
    if (can_plot(row.error) && row.error > 0) {
      // That of two or three prompts may be wider than the plot.
      const auto inside = [&](double value) {
        return std::clamp(columns.across(value), columns.left, columns.right);
      };
      const double reach = inside(row.after + row.error);
      out += svg_line(inside(row.after - row.error), y + 22, reach, y + 22,
                      " class=\"ink-line\" stroke=\"#1c1f24\"");
      number_at = std::max(reach, end) + 4;
    }
    out += svg_text(number_at, y + 26.5, format_fixed(row.after, 2),
                    {.size = 12, .muted = false, .bold = true});
  }
  out += svg_text(kWidth - 2, y + 21, row.note,
                  {.anchor = "end", .size = 13, .muted = false, .bold = true});
  return out;
}

std::string draw_key(double x) {
  const auto entry = [](double at, int color, const char* name) {
    return "<g" + color_attributes(color) + ">" +
           svg_element("rect", svg_attribute("x", at) +
                                   " y=\"5\" width=\"14\" height=\"10\" "
                                   "rx=\"1.5\" fill=\"currentColor\"") +
           "</g>" + svg_text(at + 19, 14, name, {.muted = false});
  };
  return entry(x, 0, "before") + entry(x + 76, 1, "after");
}

}  // namespace

std::string pair_plot(const PairPlot& plot) {
  const auto drawable = [](const PairPlot::Row& row) {
    return can_plot(row.before) || can_plot(row.after);
  };
  if (std::none_of(plot.rows.begin(), plot.rows.end(), drawable)) return "";
  const auto columns = make_columns(plot.rows);
  std::string content = draw_key(columns.left);
  double y = kTop;
  for (const auto& row : plot.rows) {
    if (!drawable(row)) continue;
    content += draw_row(columns, row, y);
    y += kRowHeight;
  }
  for (const auto& tick : columns.axis.ticks) {
    content +=
        svg_text(columns.across(tick.at), y + 10, tick.label, {"middle", 10.5});
  }
  return svg_document(kWidth, y + 16, plot.title, plot.description, content);
}

}  // namespace rsm::report
