#include "rsm/train/update_log.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {

double first_gap(const RowLosses& rows, const torch::Tensor& y,
                 const LossStates& states, double clip_range) {
  constexpr double kShareOfClipRange = 0.1;
  if (rows.t1.numel() == 0) {
    return 0;
  }
  const double gap = rows.scaled.abs().max().item<double>();
  if (!std::isfinite(gap)) {
    return 0;  // the gradient is not finite either, and is told of
  }
  RSM_CHECK(gap <= kShareOfClipRange * clip_range,
            "[first step] before the first update a log-ratio is ", gap,
            " (outputs differ by up to ",
            (y - states.y_old).abs().max().item<double>(),
            "); it must be 0, or below ", kShareOfClipRange * clip_range,
            " (a tenth of the clip range) on a GPU: the training network gave "
            "another output for the same state, so clipping and importance "
            "would be measured against noise. Something in the network depends "
            "on how work is batched, or weights changed between sampling and "
            "training");
  return gap;
}

UpdateRecorder::UpdateRecorder(const RolloutIndex& rollout,
                               const std::vector<int64_t>& states,
                               UpdateLog& log)
    : rollout_(rollout), log_(log), rows_of_state_(rollout.states(), 0) {
  for (const int64_t state : rollout.row_state) {
    ++rows_of_state_[state];
  }
  for (size_t i = 0; i < states.size(); ++i) {
    place_[states[i]] = static_cast<int64_t>(i);
  }
  log.step_rows.resize(rollout.transitions.size(), 0);
  log.step_clipped.resize(rollout.transitions.size(), 0);
}

void UpdateRecorder::record(const std::vector<int64_t>& part,
                            const LossResult& result, double gap) {
  const std::vector<int64_t> none(rollout_.transitions.size(), 0);
  Part out{result.policy, result.pull, gap, none, none};
  const auto outside = result.rows.outside.to(at::kCPU).contiguous();
  const bool* clipped = outside.const_data_ptr<bool>();
  int64_t row = 0;
  for (const int64_t s : part) {
    const int64_t step = rollout_.state_step[s];
    for (int64_t k = 0; k < rows_of_state_[s]; ++k, ++row) {
      ++out.rows[step];
      out.clipped[step] += clipped[row] ? 1 : 0;
    }
  }
  const std::lock_guard lock(mutex_);
  parts_[place_.at(part.front())] = std::move(out);
}

void UpdateRecorder::gather(Communicator& ranks) {
  std::vector<double> own;
  for (const auto& [place, part] : parts_) {
    own.insert(own.end(),
               {static_cast<double>(place), part.policy, part.kl, part.gap});
    own.insert(own.end(), part.rows.begin(), part.rows.end());
    own.insert(own.end(), part.clipped.begin(), part.clipped.end());
  }
  const auto all = ranks.gather(own);
  const auto steps = std::ssize(log_.step_rows);
  for (auto at = all.begin(); at != all.end(); at += 4 + 2 * steps) {
    const auto rows = at + 4, clipped = rows + steps;
    parts_[static_cast<int64_t>(at[0])] = {
        at[1], at[2], at[3], {rows, clipped}, {clipped, clipped + steps}};
  }
}

void UpdateRecorder::finish(Communicator& ranks) {
  if (!ranks.is_sole()) gather(ranks);
  for (const auto& [place, part] : parts_) {
    log_.policy_loss += part.policy;
    log_.kl_loss += part.kl;
    log_.first_gap = std::max(log_.first_gap, part.gap);
    for (size_t i = 0; i < part.rows.size(); ++i) {
      log_.step_rows[i] += part.rows[i];
      log_.step_clipped[i] += part.clipped[i];
    }
  }
  ++log_.updates;
}

}  // namespace rsm
