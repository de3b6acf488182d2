#pragma once

#include <string>
#include <vector>

#include "rsm/base/method.h"

namespace rsm {

// The words that configs, tables and logs use for the knobs of a method.

std::string to_string(EstimatorKnobs::Source value);
std::string to_string(EstimatorKnobs::Grouping value);
std::string to_string(EstimatorKnobs::Spread value);
std::string to_string(StrengthKnobs::Shape value);
std::string to_string(RegularisationKnobs::KlForm value);
std::string to_string(RegularisationKnobs::Importance value);
std::string to_string(RegularisationKnobs::ClipIn value);

/** The value named `word`: parse<StrengthKnobs::Shape>("sigma"). Defined for
 * the enums above. Throws UsageError listing the allowed words. */
template <typename Enum>
Enum parse(const std::string& word);

/** Every word of an enum, in the order of its values. */
template <typename Enum>
std::vector<std::string> words();

}  // namespace rsm
