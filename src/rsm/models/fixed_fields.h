#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rsm/io/json_fields.h"

namespace rsm {

/** Throws as JsonFields::check_keys for a key that is neither in `known` nor in
 * `fixed`, and for one of `fixed` with another value than there: "only VALUE,
 * as in LIKE, is supported". As diffusers takes them, null is false, and a list
 * gives each level its own (converted single-file checkpoints are written so).
 */
void check_fixed_fields(const JsonFields& fields, nlohmann::json known,
                        const nlohmann::json& fixed, const std::string& like);

}  // namespace rsm
