#pragma once

#include <string>

#include "rsm/report/run_record.h"

namespace rsm::report {

/** One page (see page.h). Plots without numbers are left out. The bytes depend
 * on the record alone. */
std::string report_html(const RunRecord& record);

/** Reads a run folder (see read_run) and writes its report.html, atomically. */
void write_report(const std::string& folder);

}  // namespace rsm::report
