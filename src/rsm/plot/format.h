#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/** Numbers and texts as people read them. All of it is independent of the
 * locale; NaN and infinities become "n/a", or as a function says. */
namespace rsm::report {

/** "0.412"; never "-0.000". */
std::string format_fixed(double value, int decimals);

/** "+0.191", "-0.020", "+0.000". */
std::string format_signed(double value, int decimals);

/** Three significant digits without trailing zeros: "0.0123", "1.5", "12300",
 * "4.2e-5" beyond 1e-3 and 1e5. */
std::string format_short(double value);

/** So many significant digits, as printf's %g has them: for what is read by
 * programs too, so that NaN and infinities become "". */
std::string format_digits(double value, int digits);

/** "12,288" */
std::string format_count(int64_t value);

/** "0.4 s", "48 s", "7 min 12 s", "1 h 05 min", "2 d 3 h". */
std::string format_duration(double seconds);

/** In which a plot's longest time has two digits or so. */
struct TimeUnit {
  double seconds = 1;
  const char* name = "seconds";
};
TimeUnit time_unit(double longest_seconds);

/** The signs that texts here have, in ASCII: "+-", "x", "->", " - " (of
 * ranges). */
std::string plain_signs(std::string text);

/** For text and quoted attributes of HTML and SVG. Control characters that
 * neither allows become U+FFFD. */
std::string escape_html(std::string_view text);

}  // namespace rsm::report
