#pragma once

#include <string>
#include <vector>

#include "rsm/compare/comparison.h"

namespace rsm {

/** Compares run folders, or folders of them; writes page, tables and plots into
 * `output`, and prints the table, as JSON where asked for. Exit status. */
int print_comparison(const std::vector<std::string>& runs,
                     const report::ComparisonOptions& options,
                     const std::string& output, bool json);

}  // namespace rsm
