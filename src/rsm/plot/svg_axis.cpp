#include "rsm/plot/svg_axis.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "rsm/plot/format.h"

namespace rsm::report {
namespace {

/** Ratio of a sans-serif letter's mean width to the font's size. */
constexpr double kLetterWidth = 0.55;

/** 1, 2 or 5 times a power of ten, not below `least`. */
double nice_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    // The slack keeps 0.2 / 0.1 from becoming the next larger step.
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::string tick_label(double value, double step, double largest) {
  if (value == 0) return "0";
  if (largest < 0.99e-3 || largest >= 1e5) return format_short(value);
  const double decimals = std::ceil(-std::log10(step) - 1e-9);
  return format_fixed(value, static_cast<int>(std::max(0.0, decimals)));
}

std::string coordinate(double value) {
  std::string text = format_fixed(value, 1);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

}  // namespace

bool can_plot(double value) { return std::abs(value) < 1e30; }

PlotAxis make_axis(const std::vector<double>& values,
                   const AxisOptions& options) {
  std::vector<double> known;
  std::copy_if(values.begin(), values.end(), std::back_inserter(known),
               can_plot);
  PlotAxis axis;
  if (!known.empty()) {
    const auto [low, high] = std::minmax_element(known.begin(), known.end());
    axis.low = *low;
    axis.high = *high;
  }
  const double size = std::max(std::abs(axis.low), std::abs(axis.high));
  if (axis.high - axis.low <= 1e-9 * size || axis.high == axis.low) {
    const double room = size == 0 || options.whole ? 1 : 0.1 * size;
    // Nothing but zeros is mostly a share or a count: no room below.
    if (size > 0) axis.low -= room;
    axis.high += room;
  }
  const double least =
      (axis.high - axis.low) / static_cast<double>(options.wanted);
  double step = nice_step(least);
  if (options.whole) step = std::max(1.0, step);
  const double first = options.rounded ? std::floor(axis.low / step + 1e-9)
                                       : std::ceil(axis.low / step - 1e-9);
  const double last = options.rounded ? std::ceil(axis.high / step - 1e-9)
                                      : std::floor(axis.high / step + 1e-9);
  const double largest = std::max(std::abs(first), std::abs(last)) * step;
  for (double i = first; i <= last; ++i) {
    axis.ticks.push_back({i * step, tick_label(i * step, step, largest), ""});
  }
  if (options.rounded) {
    axis.low = first * step;
    axis.high = last * step;
  }
  return axis;
}

std::string svg_element(const std::string& name,
                        const std::string& attributes) {
  return "<" + name + attributes + "/>";
}

std::string svg_attribute(const std::string& name, double value) {
  return " " + name + "=\"" + coordinate(value) + "\"";
}

std::string svg_text(double x, double y, std::string_view text,
                     const TextStyle& style) {
  return "<text" + svg_attribute("x", x) + svg_attribute("y", y) +
         svg_attribute("font-size", style.size) + " text-anchor=\"" +
         style.anchor + "\"" + (style.bold ? " font-weight=\"600\"" : "") +
         (style.muted ? " class=\"muted\" fill=\"#5f6672\""
                      : " class=\"ink\" fill=\"#1c1f24\"") +
         ">" + escape_html(text) + "</text>";
}

std::string svg_line(double x1, double y1, double x2, double y2,
                     const std::string& extra) {
  return svg_element("line", svg_attribute("x1", x1) + svg_attribute("y1", y1) +
                                 svg_attribute("x2", x2) +
                                 svg_attribute("y2", y2) + extra);
}

double text_width(std::string_view text, double size) {
  const auto letters = std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  });
  return static_cast<double>(letters) * size * kLetterWidth;
}

std::string color_attributes(int color) {
  static constexpr std::array<const char*, 6> kPalette = {
      "#8a919c", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"};
  const auto index = static_cast<size_t>(color) % kPalette.size();
  return " class=\"c" + std::to_string(index) + "\" color=\"" +
         kPalette[index] + "\"";
}

std::string svg_document(double width, double height, std::string_view title,
                         std::string_view description,
                         const std::string& content) {
  return "<svg class=\"plot\" role=\"img\" viewBox=\"0 0 " + coordinate(width) +
         " " + coordinate(height) +
         "\" font-family=\"system-ui, sans-serif\"><title>" +
         escape_html(title) + "</title><desc>" + escape_html(description) +
         "</desc>" + content + "</svg>";
}

}  // namespace rsm::report
