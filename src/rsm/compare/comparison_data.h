#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rsm/compare/comparison.h"

/** A comparison for machines. Numbers are exact; NaN and infinities (never) are
 * null in JSON and empty in CSV. */
namespace rsm::report {

nlohmann::json to_json(const Comparison& comparison);

/** The shortest text that reads back as the number; "" for NaN and infinities.
 */
std::string exact_text(double value);

/** One line a setting, after a line of names (RFC 4180, "\n"). */
std::string settings_csv(const Comparison& comparison);

/** One line an evaluation of each run, with all its metrics. */
std::string curves_csv(const Comparison& comparison);

}  // namespace rsm::report
