#pragma once

#include <string>
#include <vector>

#include "rsm/report/run_record.h"

namespace rsm::report {

/** The strip over training of a run's `samples` folder: at most six pictures in
 * at most eight of the evaluations that left their pictures there
 * (data/sample_sheet.h), both evenly spaced, the first and the last evaluation
 * among them. Empty where there are not two; files that are damaged, or show
 * something else than the first, are left out and told in `problems`. */
StripRecord read_strip(const std::string& samples,
                       const std::vector<const EpochRecord*>& evaluated,
                       std::vector<std::string>& problems);

}  // namespace rsm::report
