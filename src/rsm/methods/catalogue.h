#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/method.h"

namespace rsm {

/** Every published method the program knows, one entry each. */
const std::vector<Method>& catalogue();

/** The entry called `name`; throws UsageError naming the known ones. */
const Method& find_method(const std::string& name);

/** Named budgets: K_i for each of 10 steps, the last 0. All but lowsnr2 draw
 * 54 rows a root. Source: the release of arXiv 2604.17415. */
const std::map<std::string, std::vector<int64_t>>& branch_profiles();

/** The budget called `name`; throws UsageError naming the known ones. */
std::vector<int64_t> branch_profile(const std::string& name);

/** Throws UsageError where the knobs contradict each other, or can't be used
 * with `steps` sampler steps; says what would add up. */
void check_method(const Method& method, int64_t steps);

}  // namespace rsm
