#include "rsm/train/epoch_data.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/rows.h"

namespace rsm {
namespace {

/** States whose rows' noise is held at once while measuring. */
constexpr size_t kMeasuredAtOnce = 64;

double mean_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) {
    sum += v;
  }
  return values.empty() ? 0 : sum / static_cast<double>(values.size());
}

std::vector<int64_t> part_of(const std::vector<int64_t>& states, size_t first) {
  return {states.begin() + static_cast<int64_t>(first),
          states.begin() + static_cast<int64_t>(std::min(
                               first + kMeasuredAtOnce, states.size()))};
}

torch::Tensor selected(const torch::Tensor& all,
                       const std::vector<int64_t>& states) {
  return all.index_select(0, torch::tensor(states, at::kLong).to(all.device()));
}

/** [B] sums of squares of [B,C,H,W]. */
torch::Tensor squares(const torch::Tensor& y) {
  return y.to(at::kDouble).square().flatten(1).sum(1).to(at::kCPU);
}

/** kl and output_ratio. */
void measure_drift(EpochData& data) {
  const auto& rollout = data.rollout;
  const auto size = static_cast<double>(rollout.x.numel()) /
                    static_cast<double>(rollout.states());
  double old_square = 0, ref_square = 0;
  for (size_t i = 0; i < data.kl_states.size(); i += kMeasuredAtOnce) {
    const auto part = part_of(data.kl_states, i);
    const auto old = selected(data.y_old, part);
    const auto ref = selected(data.y_ref, part);
    const auto apart = squares(old - ref);
    old_square += squares(old).sum().item<double>();
    ref_square += squares(ref).sum().item<double>();
    for (size_t k = 0; k < part.size(); ++k) {
      const double w = rollout.transitions[rollout.state_step[part[k]]].w();
      data.kl.push_back(0.5 * w * w * apart.const_data_ptr<double>()[k] / size);
    }
  }
  data.output_ratio = ref_square > 0 ? std::sqrt(old_square / ref_square) : 1;
}

/** A sum and how many were added, by step index. */
struct StepSums {
  explicit StepSums(size_t steps) : sum(steps, 0), count(steps, 0) {}
  void add(int64_t step, double value) {
    sum[step] += value;
    ++count[step];
  }
  /** NaN (null in the log) where nothing was added. */
  double mean(size_t step) const {
    return count[step] > 0 ? sum[step] / static_cast<double>(count[step]) : NAN;
  }

  std::vector<double> sum;
  std::vector<int64_t> count;
};

StepSums kl_by_step(const EpochData& data) {
  StepSums out(data.rollout.transitions.size());
  for (size_t i = 0; i < data.kl_states.size(); ++i) {
    out.add(data.rollout.state_step[data.kl_states[i]], data.kl[i]);
  }
  return out;
}

nlohmann::json by_step(const EpochData& data) {
  const auto& transitions = data.rollout.transitions;
  const auto spread = spread_by_step(data.rollout, data.advantages);
  const auto kl = kl_by_step(data);
  nlohmann::json out;
  for (size_t i = 0; i + 1 < transitions.size(); ++i) {
    const auto rows = static_cast<double>(data.step_rows[i]);
    const bool grouped = spread[i].groups > 0;
    out["step"].push_back(i);
    out["t"].push_back(transitions[i].t);
    out["rows"].push_back(data.step_rows[i]);
    out["reward_spread"].push_back(grouped ? spread[i].spread : NAN);
    out["dead_share"].push_back(grouped ? spread[i].dead_share : NAN);
    out["clip_fraction"].push_back(
        rows > 0 ? static_cast<double>(data.step_clipped[i]) / rows : NAN);
    out["kl"].push_back(kl.mean(i));
  }
  return out;
}

}  // namespace

std::vector<int64_t> watched_states(const Rollout& rollout,
                                    const std::vector<int64_t>& trained,
                                    int64_t count, uint64_t seed) {
  std::map<int64_t, std::vector<int64_t>> of_step;
  for (const int64_t s : trained) {
    of_step[rollout.state_step[s]].push_back(s);
  }
  std::vector<int64_t> steps;
  for (const auto& [step, states] : of_step) {
    steps.push_back(step);
  }
  // Small steps first: what they lack falls to those that have more.
  std::stable_sort(steps.begin(), steps.end(), [&](int64_t a, int64_t b) {
    return of_step[a].size() < of_step[b].size();
  });
  auto steps_left = std::ssize(steps);
  auto left = std::max(count, steps_left);
  std::vector<int64_t> chosen;
  for (const int64_t step : steps) {
    const auto& states = of_step[step];
    const auto order =
        counted_permutation(counted_seed(seed, Purpose::watched_states,
                                         {static_cast<uint64_t>(step)}),
                            std::ssize(states));
    const auto quota = std::min(std::ssize(states), left / steps_left);
    for (int64_t k = 0; k < quota; ++k) {
      chosen.push_back(states[order[k]]);
    }
    left -= quota;
    --steps_left;
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

double mean_kl(const EpochData& data) {
  const auto watched = kl_by_step(data);
  StepSums out(1);
  for (const int64_t s : data.trained) {
    const int64_t step = data.rollout.state_step[s];
    if (watched.count[step] > 0) {
      out.add(0, watched.mean(step));
    }
  }
  return out.count[0] > 0 ? out.mean(0) : 0;
}

void measure_states(const Method& method, EpochData& data) {
  const auto& rollout = data.rollout;
  data.step_rows.assign(rollout.transitions.size(), 0);
  data.step_clipped.assign(rollout.transitions.size(), 0);
  measure_drift(data);
  if (data.y_old.is_same(rollout.y)) {
    return;
  }
  std::vector<int64_t> with_rows = rollout.row_state;
  with_rows.erase(std::unique(with_rows.begin(), with_rows.end()),
                  with_rows.end());
  const auto weights =
      update_weights(method, rollout, data.advantages, with_rows);
  for (size_t i = 0; i < with_rows.size(); i += kMeasuredAtOnce) {
    const auto part = part_of(with_rows, i);
    const auto terms =
        loss_terms(method, rollout, data.y_old, data.advantages, weights, part);
    const auto y = selected(rollout.y, part);
    const double gap = row_losses(y, terms.states, terms.rows)
                           .log_ratio()
                           .abs()
                           .max()
                           .item<double>();
    // One that is not a number stays.
    if (std::isnan(gap) || gap > data.rollout_gap) data.rollout_gap = gap;
  }
}

double first_gap(const RowLosses& rows, const torch::Tensor& y,
                 const LossStates& states, double clip_range) {
  constexpr double kShareOfClipRange = 0.1;
  if (rows.t1.numel() == 0) {
    return 0;
  }
  const double gap = std::max(rows.scaled.abs().max().item<double>(),
                              (rows.importance - 1).abs().max().item<double>());
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

UpdateRecorder::UpdateRecorder(EpochData& data,
                               const std::vector<int64_t>& states)
    : data_(data), rows_of_state_(data.rollout.states()) {
  for (int64_t r = 0; r < data.rollout.rows(); ++r) {
    rows_of_state_[data.rollout.row_state[r]].push_back(r);
  }
  for (size_t i = 0; i < states.size(); ++i) {
    place_[states[i]] = static_cast<int64_t>(i);
  }
}

void UpdateRecorder::record(const std::vector<int64_t>& part,
                            const LossResult& result, double gap) {
  const size_t steps = data_.rollout.transitions.size();
  Part out{result.policy, result.kl, gap, std::vector<int64_t>(steps, 0),
           std::vector<int64_t>(steps, 0)};
  const auto outside = result.rows.outside.to(at::kCPU).contiguous();
  const bool* clipped = outside.const_data_ptr<bool>();
  int64_t row = 0;
  for (const int64_t s : part) {
    const int64_t step = data_.rollout.state_step[s];
    for (size_t k = 0; k < rows_of_state_[s].size(); ++k, ++row) {
      ++out.rows[step];
      out.clipped[step] += clipped[row] ? 1 : 0;
    }
  }
  const std::lock_guard lock(mutex_);
  parts_[place_.at(part.front())] = std::move(out);
}

void UpdateRecorder::finish() {
  for (const auto& [place, part] : parts_) {
    data_.policy_loss += part.policy;
    data_.kl_loss += part.kl;
    data_.first_gap = std::max(data_.first_gap, part.gap);
    for (size_t i = 0; i < part.rows.size(); ++i) {
      data_.step_rows[i] += part.rows[i];
      data_.step_clipped[i] += part.clipped[i];
    }
  }
  ++data_.updates;
}

nlohmann::json log_line(const EpochData& data) {
  nlohmann::json metrics;
  for (const auto& [name, values] : data.scores.metrics) {
    metrics[name] = values.to(at::kDouble).mean().item<double>();
  }
  int64_t rows = 0, clipped = 0;
  for (size_t i = 0; i < data.step_rows.size(); ++i) {
    rows += data.step_rows[i];
    clipped += data.step_clipped[i];
  }
  const auto value = data.scores.value.to(at::kDouble);
  const auto updates = static_cast<double>(std::max<int64_t>(data.updates, 1));
  return {
      {"rows", data.rollout.rows()},
      {"reward", value.mean().item<double>()},
      {"reward_std", value.std(/*unbiased=*/false).item<double>()},
      {"metrics", metrics},
      {"groups", data.advantages.groups()},
      {"dead_groups", data.advantages.dead_groups},
      {"clip_fraction", rows > 0 ? static_cast<double>(clipped) / rows : 0.0},
      {"kl", mean_kl(data)},
      {"output_ratio", data.output_ratio},
      {"policy_loss", data.policy_loss / updates},
      {"kl_loss", data.kl_loss / updates},
      {"loss", (data.policy_loss + data.kl_loss) / updates},
      {"grad_norm", mean_of(data.grad_norms)},
      {"skipped_updates", data.skipped_updates},
      {"rollout_gap", data.rollout_gap},
      {"first_gap", data.first_gap},
      {"by_step", by_step(data)},
      {"seconds",
       {{"rollout", data.seconds.rollout},
        {"reward", data.seconds.reward},
        {"old", data.seconds.old},
        {"update", data.seconds.update}}},
      {"evaluations",
       {{"rollout", data.evaluations.rollout},
        {"old", data.evaluations.old},
        {"reference", data.evaluations.reference},
        {"update", data.evaluations.update}}},
      {"warnings", data.warnings}};
}

}  // namespace rsm
