#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/config.h"

/** What tests of configs share; no part of the library includes this. */
namespace rsm {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

inline Config parsed_config(const std::string& text,
                            const std::vector<std::string>& overrides = {}) {
  return Config::parse(text, "run.yaml", overrides);
}

/** What done() throws after `ask`, for a config of this text. Mistakes of the
 * user must be UsageErrors. */
inline std::string problems(const std::string& text,
                            const std::function<void(const Config&)>& ask,
                            const std::vector<std::string>& overrides = {}) {
  try {
    const auto config = parsed_config(text, overrides);
    ask(config);
    config.done();
  } catch (const UsageError& error) {
    return error.what();
  }
  ADD_FAILURE() << "no rsm::UsageError was thrown";
  return "";
}

/** A mutation of a text: a few bytes or pieces put in, taken out or doubled.
 */
inline std::string mutated(const std::string& text, uint64_t seed) {
  const std::vector<std::string> pieces = {
      "[",  "]",  "{",    "}",  ",",   ": ", ":",  "? ", "- ",         "\n",
      "\"", "'",  "#",    "&a", " *a", "!t", "|",  ">",  "%",          "---\n",
      "\t", "  ", "\xff", "1",  "~",   "\\", "<<", "@",  "[1] {x: y},"};
  std::string out = text;
  const auto draw = [&](uint64_t what, size_t below) {
    return static_cast<size_t>(counted_seed(seed, Purpose::bench, {what}) %
                               below);
  };
  const size_t changes = 1 + draw(0, 8);
  for (uint64_t i = 1; i <= changes; ++i) {
    const size_t at = draw(4 * i, out.size() + 1);
    const size_t size = draw(4 * i + 1, 12);
    switch (draw(4 * i + 2, 3)) {
      case 0:
        out.insert(at, pieces[draw(4 * i + 3, pieces.size())]);
        break;
      case 1:
        out.erase(at, size);
        break;
      default:
        out.insert(at, out.substr(at, 4 * size));
    }
  }
  return out;
}

}  // namespace rsm
