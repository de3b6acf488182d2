#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/methods/profiles.h"

namespace rsm {

/** Steps that catalogue() and find_method() fit their methods to. */
constexpr int64_t kCatalogueSteps = 10;

/** Every published method the program knows, one entry each, as corrected. */
const std::vector<Method>& catalogue();

/** What configs of a family (flows, where it is not known) mean where they name
 * no method. */
std::string default_method(std::optional<Family> family);

/** The entry called `name`; as_published: with the choices of its public
 * release. Throws UsageError naming the known ones. */
Method find_method(const std::string& name, bool as_published = false);

}  // namespace rsm
