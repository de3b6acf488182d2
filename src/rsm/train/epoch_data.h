#pragma once

#include <torch/types.h>

#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/denoiser.h"
#include "rsm/base/method.h"
#include "rsm/base/reward.h"
#include "rsm/base/rollout.h"
#include "rsm/estimators/advantages.h"
#include "rsm/objective/even_output.h"
#include "rsm/objective/loss.h"

namespace rsm {

/** What one epoch hands from station to station. */
struct EpochData {
  Rollout rollout;
  Condition conditions;  ///< of the rollout's prompts
  torch::Tensor t;       ///< [S] times of the states
  torch::Tensor prompt;  ///< [S] indices into conditions
  RewardScores scores;   ///< of the rollout's images
  Advantages advantages;
  std::vector<int64_t> trained;  ///< states of the epoch's updates, rising

  /** [S,C,H,W] of the training network, before updates; of no meaning where not
   * in `trained`. */
  torch::Tensor y_old;
  torch::Tensor y_ref;             ///< [S,C,H,W]; zero where not in kl_states
  std::vector<int64_t> kl_states;  ///< states whose y_ref is known
  OutputMap output_map;  ///< of the method's policy; y_old is its result

  double rollout_gap = 0;  ///< max |log ratio|, rollout against training output
  double first_gap = 0;    ///< the same of the first update's own outputs
  std::vector<double> kl;  ///< exact KL to the reference of each of kl_states
  /** Root mean square of y_old over that of y_ref, at kl_states. */
  double output_ratio = 1;

  double policy_loss = 0, kl_loss = 0;  ///< summed over updates
  int64_t updates = 0;
  int64_t skipped_updates = 0;  ///< whose gradient was not finite
  std::vector<double> grad_norms;
  std::vector<int64_t> step_rows, step_clipped;  ///< by step index
  std::vector<std::string> warnings;

  struct {
    int64_t rollout = 0, old = 0, reference = 0, update = 0;
  } evaluations;  ///< of the network, by sample
  struct {
    double rollout = 0, reward = 0, old = 0, update = 0;
  } seconds;
};

/** `count` of the trained states, rising: as many of each step as of any other
 * that has them, and at least one, chosen at random by `seed`. All where there
 * are no more. */
std::vector<int64_t> watched_states(const Rollout& rollout,
                                    const std::vector<int64_t>& trained,
                                    int64_t count, uint64_t seed);

/** Mean KL of the trained states, a step's from those of its states that are in
 * kl_states. */
double mean_kl(const EpochData& data);

/** Fills rollout_gap, kl and output_ratio. */
void measure_states(const Method& method, EpochData& data);

/** How far an epoch's first update is from ratios of exactly 1: the largest
 * |log-ratio| or |importance - 1| of its rows. 0 on a CPU. Throws rsm::Error
 * with an explanation above a tenth of the clip range. */
double first_gap(const RowLosses& rows, const torch::Tensor& y,
                 const LossStates& states, double clip_range);

/** Collects the numbers of one update's tiles, which arrive in any order, and
 * adds them up in the order of the states. */
class UpdateRecorder {
 public:
  UpdateRecorder(EpochData& data, const std::vector<int64_t>& states);
  /** Called from several threads; `part` are some of the states, `gap` their
   * first_gap() where it was asked for. */
  void record(const std::vector<int64_t>& part, const LossResult& result,
              double gap);
  /** Adds the update to the epoch's numbers. */
  void finish();

 private:
  struct Part {
    double policy, kl, gap;
    std::vector<int64_t> rows, clipped;  ///< by step index
  };

  EpochData& data_;
  std::vector<std::vector<int64_t>> rows_of_state_;
  std::mutex mutex_;
  std::map<int64_t, Part> parts_;  ///< by first state's place in the update
  std::map<int64_t, int64_t> place_;
};

/** The epoch's line of the run log, but for its counters. */
nlohmann::json log_line(const EpochData& data);

}  // namespace rsm
