#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/method.h"

namespace rsm {

/** Names of the budgets: K_i by step.
 *
 * base: 6 at every step but the last. five, five-four: 20 or 4 at five steps,
 * evenly spread from the first. highsnr, highsnr2, base2, lowsnr, lowsnr2:
 * lists for 10 steps; all but lowsnr2 draw base's 54 rows a root. Source: the
 * release of arXiv 2604.17415. */
std::vector<std::string> branch_profiles();

/** The budget called `name` for so many steps, the last 0. Throws UsageError
 * naming the known ones, and for a list of 10 steps with another number. */
std::vector<int64_t> branch_profile(const std::string& name, int64_t steps);

/** Sets a tree's split steps where its profile is four-splits: 0, 3, 6 and 9 of
 * 20 steps, and as far along of others (arXiv 2509.06040). */
void fit_splits(EstimatorKnobs& knobs, int64_t steps);

/** The method with what its profile says for so many sampler steps: branches,
 * or a tree's split steps. Unchanged without a profile. */
Method fitted(Method method, int64_t steps);

/** The method with the sampler noise its models have, where the entry's is of
 * the other family only: DDIM has no constant SDE, flows no even weight. */
Method for_family(Method method, std::optional<Family> family);

/** Says that for_family() gives `entry` another sampler than the published one;
 * "" where it does not. */
std::string replaced_sampler(const Method& entry, std::optional<Family> family);

}  // namespace rsm
