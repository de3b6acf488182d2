#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/** The pieces that plots are drawn with. Lengths are in SVG units, y down. */
namespace rsm::report {

struct PlotTick {
  double at = 0;
  std::string label;
  std::string below;  ///< a second line, smaller; may be empty
};

/** A range of numbers with round ticks. */
struct PlotAxis {
  double low = 0;
  double high = 1;
  std::vector<PlotTick> ticks;

  /** 0 at `low`, 1 at `high`. */
  double place(double value) const { return (value - low) / (high - low); }
};

/** Whether a number can be drawn: finite and below 1e30 in size. */
bool can_plot(double value);

/** Ticks at multiples of 1, 2 or 5 times a power of ten, about `wanted` steps.
 * Numbers that can't be drawn are left out; without any the range is [0, 1]; a
 * single number gets room on both sides. */
struct AxisOptions {
  int64_t wanted = 5;
  bool rounded = true;  ///< the range ends on ticks
  bool whole = false;   ///< ticks at whole numbers only
};
PlotAxis make_axis(const std::vector<double>& values,
                   const AxisOptions& options);

/** An element with attributes, without content: <name attributes/>. */
std::string svg_element(const std::string& name, const std::string& attributes);

/** " name='number'" with at most one decimal. */
std::string svg_attribute(const std::string& name, double value);

struct TextStyle {
  const char* anchor = "start";  ///< start, middle, end
  double size = 12;
  bool muted = true;
  bool bold = false;
};
/** Escaped text at a point of its baseline. */
std::string svg_text(double x, double y, std::string_view text,
                     const TextStyle& style);

/** A straight line; `extra` are further attributes. */
std::string svg_line(double x1, double y1, double x2, double y2,
                     const std::string& extra);

/** About how wide a text is drawn. */
double text_width(std::string_view text, double size = 12);

/** Opens a group of the palette's colour: " class='c1' color='#...'". 0 is
 * grey; 1 to 5 are told apart by the colour-blind. Source: Okabe and Ito,
 * Color Universal Design (2008). */
std::string color_attributes(int color);

/** The whole picture: title and description for screen readers, then content.
 * Meant to stand inline in HTML; colours follow the page where its style sheet
 * sets classes c0 ... c5, `ink` and `muted`. */
std::string svg_document(double width, double height, std::string_view title,
                         std::string_view description,
                         const std::string& content);

}  // namespace rsm::report
