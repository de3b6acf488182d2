#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"
#include "rsm/objective/rows.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** What an update is made of. */
struct UpdateStates {
  UpdateWeights weights;
  /** In the order of its batches: those with a gradient, which are those with a
   * row that weighs something and has an advantage, or with a pull. */
  std::vector<int64_t> states;
};

/** An epoch's updates: its trained states, shuffled by the run's seed, in as
 * many parts as the config says. */
std::vector<UpdateStates> updates_of(const RunOptions& options, int64_t epoch,
                                     const RolloutIndex& rollout,
                                     const Guidance& guidance);

/** `states`, which hold those of the updates: a batch an update, and one of the
 * rest. A GPU gives a row other last bits in another batch, the same ones in
 * the same: asked in these, y_old is what the update begins with. */
std::vector<std::vector<int64_t>> in_the_batches_of(
    const std::vector<UpdateStates>& updates,
    const std::vector<int64_t>& states);

/** Outputs y [N,C,H,W] of N states in any order. */
StateOutputs in_order(const torch::Tensor& y,
                      const std::vector<int64_t>& states);

}  // namespace rsm
