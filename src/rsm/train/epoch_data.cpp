#include "rsm/train/epoch_data.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
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

/** Mean exact KL at each step index; NaN (null in the log) without states. */
std::vector<double> kl_by_step(const EpochData& data) {
  const size_t steps = data.rollout.transitions.size();
  std::vector<double> sum(steps, 0);
  std::vector<int64_t> count(steps, 0);
  for (size_t i = 0; i < data.kl_states.size(); ++i) {
    const int64_t step = data.rollout.state_step[data.kl_states[i]];
    sum[step] += data.kl[i];
    ++count[step];
  }
  for (size_t i = 0; i < steps; ++i) {
    sum[i] = count[i] > 0 ? sum[i] / static_cast<double>(count[i]) : NAN;
  }
  return sum;
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
    out["kl"].push_back(kl[i]);
  }
  return out;
}

}  // namespace

std::vector<int64_t> spread_out(const std::vector<int64_t>& all,
                                int64_t count) {
  const auto size = static_cast<int64_t>(all.size());
  if (size <= count) {
    return all;
  }
  std::vector<int64_t> some;
  for (int64_t i = 0; i < count; ++i) {
    some.push_back(all[i * size / count]);
  }
  return some;
}

void name_dead_groups(EpochData& data, const std::string& reward) {
  const auto& a = data.advantages;
  RSM_CHECK(
      a.dead_groups < a.groups(), "[reward ", reward, "] all ", a.groups(),
      " groups have rewards without spread (the first reward is ",
      data.scores.value[0].item<float>(),
      "), so nothing can be learnt; use a graded reward, easier or other "
      "prompts, more samples a group, or more noise (sampling.noise_level)");
  if (2 * a.dead_groups >= a.groups()) {
    data.warnings.push_back(cat(a.dead_groups, " of ", a.groups(),
                                " groups have no reward spread"));
  }
}

void measure_states(const Method& method, EpochData& data) {
  const auto& rollout = data.rollout;
  data.step_rows.assign(rollout.transitions.size(), 0);
  data.step_clipped.assign(rollout.transitions.size(), 0);
  for (const int64_t s : data.kl_states) {
    const double w = rollout.transitions[rollout.state_step[s]].w();
    data.kl.push_back(0.5 * w * w *
                      (data.y_old[s] - data.y_ref[s])
                          .to(at::kDouble)
                          .square()
                          .mean()
                          .item<double>());
  }
  if (data.y_old.is_same(rollout.y)) {
    return;
  }
  std::vector<int64_t> with_rows = rollout.row_state;
  with_rows.erase(std::unique(with_rows.begin(), with_rows.end()),
                  with_rows.end());
  const auto weights =
      update_weights(method, rollout, data.advantages, with_rows);
  for (size_t i = 0; i < with_rows.size(); i += kMeasuredAtOnce) {
    const std::vector<int64_t> part(
        with_rows.begin() + i,
        with_rows.begin() + std::min(i + kMeasuredAtOnce, with_rows.size()));
    const auto terms =
        loss_terms(method, rollout, data.y_old, data.advantages, weights, part);
    const auto y = rollout.y.index_select(
        0, torch::tensor(part, at::kLong).to(rollout.y.device()));
    data.rollout_gap =
        std::max(data.rollout_gap, row_losses(y, terms.states, terms.rows)
                                       .log_ratio()
                                       .abs()
                                       .max()
                                       .item<double>());
  }
}

void check_first_step(const RowLosses& rows, const torch::Tensor& y,
                      const LossStates& states) {
  if (rows.t1.numel() == 0) {
    return;
  }
  const double log_ratio = rows.log_ratio().abs().max().item<double>();
  const double ratio = (rows.importance - 1).abs().max().item<double>();
  RSM_CHECK(log_ratio == 0 && ratio == 0,
            "[first step] before the first update a log-ratio is ", log_ratio,
            " (outputs differ by up to ",
            (y - states.y_old).abs().max().item<double>(),
            "); it must be exactly 0: the training network gave another output "
            "for the same state, so clipping and importance would be measured "
            "against noise. Something in the network depends on how work is "
            "batched, or weights changed between sampling and training");
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
                            const LossResult& result) {
  const size_t steps = data_.rollout.transitions.size();
  Part out{result.policy, result.kl, std::vector<int64_t>(steps, 0),
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
      {"kl", mean_of(data.kl)},
      {"policy_loss", data.policy_loss / updates},
      {"kl_loss", data.kl_loss / updates},
      {"loss", (data.policy_loss + data.kl_loss) / updates},
      {"grad_norm", mean_of(data.grad_norms)},
      {"rollout_gap", data.rollout_gap},
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
