#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/verify/verification.h"

namespace rsm::verify {

/** For a terminal: by method and problem what of the way to the answer is left,
 * the verdict, and what theory knows; and what a perfect network and exact
 * samples measure. */
std::string text_of(const Report& report);

/** One method's: "ram: exact; gauss-linear 3 %, as 1/alpha; ..." */
std::string line_of(const Verification& method);

/** Everything measured: {alpha, budget, seconds, problems, methods}. */
nlohmann::json to_json(const Report& report);

/** Writes verify.json into the folder; returns its path. */
std::string write_numbers(const Report& report, const std::string& folder);

/** Writes verify.json and, for each method and problem, METHOD-PROBLEM.svg: the
 * densities along the line on which the answer leaves the reference. Returns
 * the paths. Throws rsm::Error where it cannot. */
std::vector<std::string> write_report(const Report& report,
                                      const std::string& folder);

}  // namespace rsm::verify
