#pragma once

#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "rsm/base/method.h"

namespace rsm {

// The words that configs, tables and logs use for the knobs of a method.

/** The word of a value. Defined for the enums of base/method.h, as the other
 * two. */
template <typename Enum>
requires std::is_enum_v<Enum> std::string to_string(Enum value);

/** "both" without a family. */
std::string to_string(std::optional<Family> models);

/** The value named `word`: parse<StrengthKnobs::Shape>("sigma"). Throws
 * UsageError listing the allowed words. */
template <typename Enum>
Enum parse(const std::string& word);

/** Every word of an enum, in the order of its values. */
template <typename Enum>
std::vector<std::string> words();

}  // namespace rsm
