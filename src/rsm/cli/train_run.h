#pragma once

#include <string>

#include "rsm/base/communicator.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Throws where a run's device, folder or prompts are not to be had; loads no
 * model for it. */
void check_before(const RunOptions& options);

/** Trains a run to its end, or until the user interrupts it, telling each epoch
 * and keeping report.html up to date. `title` stands before every progress
 * line. False where it was interrupted: it is saved then. Of several ranks each
 * calls it, and rank 0 writes the report; one that is interrupted before the
 * run stands throws Interrupted. */
bool train_run(const RunOptions& options, TerminalProgress& progress,
               const std::string& title = "", Communicator* ranks = nullptr);

}  // namespace rsm
