#include "rsm/io/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr size_t kReason = 200;  // bytes

/** "line:column" of a byte, both counted from 1. */
std::string position(std::string_view text, size_t byte) {
  const auto before = text.substr(0, std::min(byte, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const auto last = before.rfind('\n');
  const size_t start = last == std::string_view::npos ? 0 : last + 1;
  return cat(line, ":", before.size() - start + 1);
}

/** The first bracket that opens too deep; npos: none does. What stands outside
 * of strings is not yet known to be JSON. */
size_t too_deep(std::string_view text) {
  int depth = 0;
  bool inside = false;  // of a string
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      inside = !inside;
    } else if (inside) {
      i += c == '\\' ? 1 : 0;
    } else if (c == '[' || c == '{') {
      if (++depth > kJsonDepth) return i;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return std::string_view::npos;
}

/** Looks at a text again, to say what is wrong with it. */
class Mistake : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(size_t) override { return true; }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string&,
                   const json::exception& error) override {
    byte = position > 0 ? position - 1 : 0;
    reason = error.what();
    // Only the words: "[json.exception...] parse error at line 1, column 2: ".
    reason.erase(0, reason.find("] ") + 2);
    if (reason.compare(0, 11, "parse error") == 0) {
      reason.erase(0, reason.find(": ") + 2);
    }
    return false;
  }

  size_t byte = 0;
  std::string reason;
};

}  // namespace

json parse_json(const std::string& what, std::string_view text, size_t most) {
  const auto check = [&](bool ok, size_t byte, const std::string& reason) {
    RSM_CHECK(ok, what, ":", position(text, byte),
              ": not valid JSON: ", printable(reason, kReason));
  };
  RSM_CHECK(text.size() <= most, what, ": ", text.size(),
            " bytes of JSON; at most ", most, " are allowed");
  // The parser takes a zero byte for the end and would ignore what follows.
  const size_t zero = text.find('\0');
  check(zero == std::string_view::npos, zero, "a zero byte");
  const size_t deep = too_deep(text);
  check(deep == std::string_view::npos, deep,
        cat("lists and objects nest deeper than ", kJsonDepth));
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    Mistake mistake;
    json::sax_parse(text, &mistake);
    check(false, mistake.byte, mistake.reason);
  }
  return value;
}

nlohmann::json finite_or_null(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json();
}

std::string json_line(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string quote_python_numbers(std::string_view text) {
  std::string out;
  bool inside = false;  // of a string
  for (size_t i = 0; i < text.size();) {
    size_t taken = 1;
    bool quote = false;
    if (inside && text[i] == '\\') {
      taken = std::min<size_t>(2, text.size() - i);
    } else if (text[i] == '"') {
      inside = !inside;
    } else if (!inside) {
      for (const std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
        if (text.compare(i, word.size(), word) == 0) {
          taken = word.size();
          quote = true;
        }
      }
    }
    const char* mark = quote ? "\"" : "";
    out += mark;
    out += text.substr(i, taken);
    out += mark;
    i += taken;
  }
  return out;
}

}  // namespace rsm
