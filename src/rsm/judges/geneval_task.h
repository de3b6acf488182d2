#pragma once

#include <string>
#include <vector>

#include "rsm/base/prompt.h"
#include "rsm/judges/geneval_rules.h"

namespace rsm::geneval {

/** What a prompt asks for, by its metadata: GenEval's `tag` and `include`, a
 * list of {"class", "count"} and, if wanted, "color" and "position"
 * ([relation, number of an earlier clause]); `exclude`, of {"class", "count"}.
 * `classes` are names by the detector's numbers. Throws rsm::Error, "[who] the
 * prompt \"...\" ...", where there is no metadata, a part of it is missing or
 * wrong, or a class or a colour is not among those known. */
Task read_task(const std::string& who, const Prompt& prompt,
               const std::vector<std::string>& classes);

}  // namespace rsm::geneval
