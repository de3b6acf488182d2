#include "rsm/train/drift.h"

#include <algorithm>
#include <cmath>

#include "rsm/objective/rows.h"

namespace rsm {
namespace {

/** States whose outputs are looked at at once. */
constexpr size_t kMeasuredAtOnce = 64;

std::vector<int64_t> part_of(const std::vector<int64_t>& states, size_t first) {
  return {states.begin() + static_cast<int64_t>(first),
          states.begin() + static_cast<int64_t>(std::min(
                               first + kMeasuredAtOnce, states.size()))};
}

/** Mean KL of the states that are known, by step. */
struct StepMeans {
  StepMeans(const RolloutIndex& rollout, const Drift& drift)
      : sum(rollout.transitions.size(), 0), count(sum) {
    for (size_t i = 0; i < drift.states.size(); ++i) {
      const int64_t step = rollout.state_step[drift.states[i]];
      sum[step] += drift.kl[i];
      ++count[step];
    }
  }
  /** NaN (null in the log) where none is known. */
  double at(size_t step) const {
    return count[step] > 0 ? sum[step] / count[step] : NAN;
  }

  std::vector<double> sum, count;
};

/** One of them is known at all states of the other. */
const std::vector<int64_t>& states_of_both(const StateOutputs& one,
                                           const StateOutputs& other) {
  return one.states.size() < other.states.size() ? one.states : other.states;
}

/** [B] sums of squares of [B,C,H,W]. */
torch::Tensor squares(const torch::Tensor& y) {
  return y.to(at::kDouble).square().flatten(1).sum(1);
}

}  // namespace

std::vector<double> Drift::kl_by_step(const RolloutIndex& rollout) const {
  const StepMeans means(rollout, *this);
  std::vector<double> out;
  for (size_t step = 0; step < means.sum.size(); ++step) {
    out.push_back(means.at(step));
  }
  return out;
}

double Drift::mean_kl(const RolloutIndex& rollout,
                      const std::vector<int64_t>& trained) const {
  const StepMeans means(rollout, *this);
  double sum = 0, count = 0;
  for (const int64_t state : trained) {
    const int64_t step = rollout.state_step[state];
    // Forward rows have no step whose noise a KL would be measured in.
    if (means.count[step] == 0 || rollout.is_forward(state)) continue;
    sum += means.at(step);
    ++count;
  }
  return count > 0 ? sum / count : 0;
}

double distance_to_pull(const RegularisationKnobs& knobs,
                        const RolloutIndex& rollout, const Outputs& outputs) {
  auto unit = knobs;
  unit.beta = 1;
  const auto& anchor = outputs.anchor();
  std::vector<int64_t> states = states_of_both(outputs.old, anchor);
  std::erase_if(states, [&](int64_t s) { return rollout.is_forward(s); });
  double sum = 0;
  for (size_t i = 0; i < states.size(); i += kMeasuredAtOnce) {
    const auto part = part_of(states, i);
    const auto apart = squares(outputs.old.of(part) - anchor.of(part));
    for (size_t k = 0; k < part.size(); ++k) {
      sum += kl_factor(unit, rollout.transition_of(part[k])) *
             apart.const_data_ptr<double>()[k];
    }
  }
  const auto elements =
      static_cast<double>(std::ssize(states) * outputs.old.y[0].numel());
  return states.empty() ? 0 : sum / elements;
}

Drift measure_drift(const RolloutIndex& rollout, const Outputs& outputs) {
  Drift out;
  out.states = states_of_both(outputs.old, outputs.reference);
  double old_square = 0, ref_square = 0;
  for (size_t i = 0; i < out.states.size(); i += kMeasuredAtOnce) {
    const auto part = part_of(out.states, i);
    const auto old = outputs.old.of(part);
    const auto ref = outputs.reference.of(part);
    const auto apart = squares(old - ref);
    const auto size = static_cast<double>(old[0].numel());
    old_square += squares(old).sum().item<double>();
    ref_square += squares(ref).sum().item<double>();
    for (size_t k = 0; k < part.size(); ++k) {
      const double w = rollout.transition_of(part[k]).w();
      out.kl.push_back(0.5 * w * w * apart.const_data_ptr<double>()[k] / size);
    }
  }
  out.output_ratio = ref_square > 0 ? std::sqrt(old_square / ref_square) : 1;
  return out;
}

double rollout_gap(const Method& method, const Rollout& rollout,
                   const Outputs& outputs, const Guidance& guidance) {
  if (!guidance.directions.empty() || rollout.y.size(0) == 0) return 0;
  std::vector<int64_t> with_rows;
  for (const int64_t state : outputs.old.states) {
    if (rollout.is_forward(state)) continue;  // not asked in the rollout
    if (std::binary_search(rollout.row_state.begin(), rollout.row_state.end(),
                           state)) {
      with_rows.push_back(state);
    }
  }
  UpdateWeights none;
  none.row.assign(rollout.rows(), 0);
  none.k_ref.assign(rollout.states(), 0);
  none.k_old.assign(rollout.states(), 0);
  double gap = 0;
  for (size_t i = 0; i < with_rows.size(); i += kMeasuredAtOnce) {
    const auto part = part_of(with_rows, i);
    const auto terms =
        loss_terms(method, rollout, outputs, guidance, none, part);
    const auto y = rollout.y.index_select(0, torch::tensor(part, at::kLong));
    const double here = row_losses(y, terms.states, terms.rows)
                            .log_ratio()
                            .abs()
                            .max()
                            .item<double>();
    // One that is not a number stays.
    if (std::isnan(here) || here > gap) gap = here;
  }
  return gap;
}

}  // namespace rsm
