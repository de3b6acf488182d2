#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "rsm/base/communicator.h"
#include "rsm/base/rollout.h"
#include "rsm/objective/loss.h"

namespace rsm {

/** What an epoch's updates were like. */
struct UpdateLog {
  double lr = 0;
  double policy_loss = 0, kl_loss = 0;  ///< summed over updates
  int64_t updates = 0;
  int64_t skipped = 0;             ///< whose gradient was not finite
  int64_t evaluations = 0;         ///< of the network, by sample
  double first_gap = 0;            ///< of the first update, see first_gap()
  std::vector<double> grad_norms;  ///< before clipping
  std::vector<int64_t> step_rows, step_clipped;  ///< [N] by step index
  double seconds = 0;
  std::vector<std::string> warnings;
};

/** How far an epoch's first update is from ratios of exactly 1: the largest
 * |log-ratio| or |importance - 1| of its rows. 0 on a CPU. Throws rsm::Error
 * with an explanation above a tenth of the clip range. */
double first_gap(const RowLosses& rows, const torch::Tensor& y,
                 const LossStates& states, double clip_range);

/** Collects the numbers of one update's tiles, which arrive in any order, and
 * adds them up in the order of the states. */
class UpdateRecorder {
 public:
  /** `states` of the update, in their order. All must outlive it. */
  UpdateRecorder(const RolloutIndex& rollout,
                 const std::vector<int64_t>& states, UpdateLog& log);
  /** Called from several threads; `part` are some of the states, `gap` their
   * first_gap() where it was asked for. */
  void record(const std::vector<int64_t>& part, const LossResult& result,
              double gap);
  /** Adds the update, of which ranks saw some tiles each, to the epoch's log.
   * Collective. */
  void finish(Communicator& ranks);

 private:
  struct Part {
    double policy, kl, gap;
    std::vector<int64_t> rows, clipped;  ///< by step index
  };

  void gather(Communicator& ranks);

  const RolloutIndex& rollout_;
  UpdateLog& log_;
  std::vector<int64_t> rows_of_state_;
  std::mutex mutex_;
  std::map<int64_t, Part> parts_;  ///< by first state's place in the update
  std::map<int64_t, int64_t> place_;
};

}  // namespace rsm
