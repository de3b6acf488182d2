#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "rsm/analysis/signal_tables.h"
#include "rsm/base/progress.h"

namespace rsm {

struct SignalRunOptions {
  /** A run folder, whose newest checkpoint is measured, or a config, whose
   * model is measured before training. */
  std::string source;
  std::vector<std::string> overrides;  ///< "key=value" of the config
  int64_t roots = 64;                  ///< prompts in turn, as an epoch's
  int64_t branches = 6;
  int64_t blocks = 8;            ///< see SignalOptions
  std::optional<uint64_t> seed;  ///< the run's
};

/** What the next epoch of a run could learn at each step: its prompts and its
 * noise, so that a model is measured on what it was not yet trained on. Nothing
 * is written; the run may go on meanwhile. Where the method does not branch,
 * its budget is taken to be as many branches at every step as are measured.
 * Throws rsm::Error for a folder without a whole checkpoint, and as
 * time_signals(). */
SignalFindings measure_signal(const SignalRunOptions& options,
                              Progress& progress);

}  // namespace rsm
