#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rsm/data/prompts.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** What an epoch of a run will do, counted from its config. */
struct Forecast {
  int64_t roots = 0;   ///< or stochastic paths
  int64_t images = 0;  ///< pictures judged
  int64_t groups = 0;  ///< of rows compared with each other, at most
  int64_t rows = 0;
  int64_t states = 0;  ///< network passes of an update's forward, shared
  int64_t updates = 0;
  int64_t smallest_update = 0, largest_update = 0;  ///< in states

  /** Network evaluations by sample, as the log counts them, of the first epoch.
   */
  struct {
    int64_t rollout = 0, guidance = 0, old = 0, reference = 0, update = 0;
    int64_t sum() const {
      return rollout + guidance + old + reference + update;
    }
  } evaluations;
  double mean_rollout = 0;  ///< the rollout's, of all epochs on average
  /** Of the reference's those that soft returns take and the loss does not
   * need, and states whose output is kept for it. */
  int64_t cost_evaluations = 0, kept_references = 0;
  /** False where dead groups may spare the update some of its states. */
  bool update_is_exact = true;
  int64_t evaluation_images = 0;       ///< one held-out evaluation
  int64_t evaluation_evaluations = 0;  ///< of the network
};

Forecast forecast(const RunOptions& options);

/** A setting that does not add up, and what would. */
struct Advice {
  std::string key;
  std::string text;
};

/** In the order of the config. `train` and `held_out` are its prompts. */
std::vector<Advice> advise(const RunOptions& options, const Forecast& forecast,
                           const Prompts& train, const Prompts& held_out);

/** What an epoch takes on this machine, on average. */
struct EpochCost {
  double rollout_seconds = 0;
  double reward_seconds = 0;
  double old_seconds = 0;  ///< y_old and y_ref
  double update_seconds = 0;
  double evaluation_seconds = 0;  ///< one held-out evaluation, not an epoch's

  double epoch_seconds() const {
    return rollout_seconds + reward_seconds + old_seconds + update_seconds;
  }
};

/** Loads the model, times a few network evaluations of each kind and scales
 * them up. */
EpochCost measure_cost(const RunOptions& options, const Forecast& forecast);

/** Epochs until `epochs`, max_images or, at that cost, max_minutes end the run.
 */
double expected_epochs(const RunOptions& options, const Forecast& forecast,
                       const EpochCost& cost);

/** What does not fit the time a run may take. */
std::vector<Advice> advise_on_time(const RunOptions& options,
                                   const Forecast& forecast,
                                   const EpochCost& cost);

}  // namespace rsm
