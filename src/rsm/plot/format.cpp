#include "rsm/plot/format.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace rsm::report {
namespace {

constexpr const char* kMissing = "n/a";

std::string written(double value, std::chars_format form, int precision) {
  // The longest double in fixed form has 309 digits before the point.
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(),
                                 value, form, precision);
  std::string text(buffer.data(), end.ptr);
  const bool is_zero = text.find_first_of("123456789") == std::string::npos;
  if (is_zero && text.front() == '-') text.erase(0, 1);
  return text;
}

std::string padded(int64_t value) {
  return (value < 10 ? "0" : "") + std::to_string(value);
}

}  // namespace

std::string format_fixed(double value, int decimals) {
  if (!std::isfinite(value)) return kMissing;
  return written(value, std::chars_format::fixed, decimals);
}

std::string format_signed(double value, int decimals) {
  const std::string text = format_fixed(value, decimals);
  return text.front() == '-' || text == kMissing ? text : "+" + text;
}

std::string format_short(double value) {
  if (!std::isfinite(value)) return kMissing;
  const double size = std::abs(value);
  if (value != 0 && (size < 1e-3 || size >= 1e5)) {
    std::string text = written(value, std::chars_format::scientific, 2);
    const auto e = text.find('e');
    std::string digits = text.substr(0, e);
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
    return digits + "e" + std::to_string(std::stoi(text.substr(e + 1)));
  }
  const int magnitude =
      value == 0 ? 0 : static_cast<int>(std::floor(std::log10(size)));
  std::string text = format_fixed(value, std::max(0, 2 - magnitude));
  if (text.find('.') != std::string::npos) {
    text.erase(text.find_last_not_of('0') + 1);
    if (text.back() == '.') text.pop_back();
  }
  return text;
}

std::string format_digits(double value, int digits) {
  if (!std::isfinite(value)) return "";
  return written(value, std::chars_format::general, digits);
}

std::string format_count(int64_t value) {
  std::string text = std::to_string(value);
  const size_t first = text.front() == '-' ? 1 : 0;
  for (size_t i = text.size(); i > first + 3; i -= 3)
    text.insert(i - 3, 1, ',');
  return text;
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0 || seconds > 1e12) return kMissing;
  if (seconds < 9.95) return format_fixed(seconds, 1) + " s";
  const int64_t whole = std::llround(seconds);
  if (whole < 60) return std::to_string(whole) + " s";
  const int64_t minutes = whole / 60;
  if (minutes < 60) {
    return std::to_string(minutes) + " min " + padded(whole % 60) + " s";
  }
  const int64_t hours = minutes / 60;
  if (hours < 48) {
    return std::to_string(hours) + " h " + padded(minutes % 60) + " min";
  }
  return std::to_string(hours / 24) + " d " + std::to_string(hours % 24) + " h";
}

TimeUnit time_unit(double longest_seconds) {
  if (longest_seconds < 300) return {};
  if (longest_seconds < 300 * 60) return {60, "minutes"};
  return {3600, "hours"};
}

std::string plain_signs(std::string text) {
  static const std::vector<std::pair<std::string, std::string>> kSigns = {
      {"±", "+-"}, {"×", "x"}, {"→", "->"}, {"–", " - "}};
  for (const auto& [sign, plain] : kSigns) {
    for (size_t at = text.find(sign); at != std::string::npos;
         at = text.find(sign, at + plain.size())) {
      text.replace(at, sign.size(), plain);
    }
  }
  return text;
}

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
          out += "\xef\xbf\xbd";
        } else {
          out += c;
        }
    }
  }
  return out;
}

}  // namespace rsm::report
