#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"
#include "rsm/rewards/answers.h"

namespace rsm {

/** What judges outside this program are told of the pictures of a range: the
 * same for programs and servers, see docs/rewards.md. An object with the texts
 * "prompts" and, where one has any, "metadata": objects in the same order, null
 * for none. With `group`, the labels of all pictures of the call, also
 * "groups": the number of each picture's group, from 0 on in the order of the
 * range. Throws rsm::Error, beginning with "[who]", where a prompt's is no
 * JSON. */
nlohmann::json told_of(const std::string& who, const Prompts& prompts,
                       const PictureRange& range,
                       const std::vector<int64_t>& group = {});

}  // namespace rsm
