#pragma once

#include <string>

#include "rsm/report/run_record.h"

namespace rsm::report {

/** One HTML page that stands alone: plots are inline SVG, pictures are data
 * URIs; no scripts, no other files. It follows the reader's light or dark
 * setting, fits a phone and prints. Plots without numbers are left out. The
 * bytes depend on the record alone. */
std::string report_html(const RunRecord& record);

/** Reads a run folder (see read_run) and writes its report.html, atomically. */
void write_report(const std::string& folder);

}  // namespace rsm::report
