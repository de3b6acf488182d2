#include "rsm/train/epoch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/estimators/advantages.h"

namespace rsm {
namespace {

template <typename T>
T sum_of(const std::vector<T>& values) {
  return std::accumulate(values.begin(), values.end(), T{0});
}

/** Of the rollout's own steps; forward rows have none. */
size_t steps_of(const RolloutIndex& rollout) {
  return rollout.noised_from > 0 ? static_cast<size_t>(rollout.noised_from)
                                 : rollout.transitions.size();
}

/** Of these steps alone. */
int64_t sum_over(const std::vector<int64_t>& by_step, size_t steps) {
  return std::accumulate(
      by_step.begin(),
      by_step.begin() + static_cast<int64_t>(std::min(steps, by_step.size())),
      int64_t{0});
}

nlohmann::json by_step(const RolloutIndex& rollout, const Guidance& guidance,
                       const Drift& drift, const UpdateLog& updates) {
  const auto& steps = rollout.transitions;
  const auto spread = spread_by_step(rollout, guidance.advantages);
  const auto kl = drift.kl_by_step(rollout);
  nlohmann::json out;
  const auto count = steps_of(rollout);
  for (size_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    if (last && std::isnan(kl[i]) && spread[i].groups == 0) continue;
    const int64_t rows = updates.updates > 0 ? updates.step_rows[i] : 0;
    const bool grouped = spread[i].groups > 0;
    out["step"].push_back(i);
    out["t"].push_back(steps[i].t);
    out["rows"].push_back(rows);
    out["reward_spread"].push_back(grouped ? spread[i].spread : NAN);
    out["dead_share"].push_back(grouped ? spread[i].dead_share : NAN);
    out["clip_fraction"].push_back(
        rows > 0 ? static_cast<double>(updates.step_clipped[i]) /
                       static_cast<double>(rows)
                 : NAN);
    out["kl"].push_back(kl[i]);
    for (const auto& [name, numbers] : guidance.by_step) {
      out[name].push_back(numbers[i]);
    }
  }
  return out;
}

/** Each of several rewards by its name. */
nlohmann::json rewards_of(const std::vector<PartStanding>& parts) {
  nlohmann::json out;
  for (const auto& part : parts) {
    out[part.name] = {{"weight", part.weight},
                      {"mean", part.mean},
                      {"std", part.deviation},
                      {"groups", part.groups},
                      {"dead_groups", part.dead_groups},
                      {"correlation", part.correlation},
                      {"share", part.share}};
  }
  return out;
}

nlohmann::json warnings_of(const Guidance& guidance, const Frozen& frozen,
                           const UpdateLog& updates) {
  auto all = nlohmann::json::array();
  for (const auto* some :
       {&guidance.warnings, &frozen.warnings, &updates.warnings}) {
    for (const auto& text : *some) all.push_back(text);
  }
  return all;
}

}  // namespace

nlohmann::json log_line(const Prepared& epoch, const UpdateLog& updates,
                        double learn_seconds) {
  const auto& [sampled, guidance, frozen] = epoch;
  const auto& rollout = sampled.rollout;
  const auto& advantages = guidance.advantages;
  nlohmann::json metrics;
  for (const auto& [name, values] : sampled.drawn.metrics) {
    metrics[name] = values.to(at::kDouble).mean().item<double>();
  }
  const int64_t rows = sum_over(updates.step_rows, steps_of(rollout));
  const int64_t clipped = sum_over(updates.step_clipped, steps_of(rollout));
  const auto value = sampled.drawn.value.to(at::kDouble);
  const auto count = static_cast<double>(std::max<int64_t>(updates.updates, 1));
  const auto norms = static_cast<double>(updates.grad_norms.size());
  nlohmann::json out = {
      {"rows", rollout.rows()},
      {"reward", value.mean().item<double>()},
      {"reward_std", value.std(/*unbiased=*/false).item<double>()},
      {"metrics", metrics},
      {"groups", advantages.groups()},
      {"dead_groups", advantages.dead_groups},
      {"clip_fraction", rows > 0 ? static_cast<double>(clipped) / rows : 0.0},
      {"kl", epoch.mean_kl()},
      {"output_ratio", frozen.drift.output_ratio},
      {"policy_loss", updates.policy_loss / count},
      {"kl_loss", updates.kl_loss / count},
      {"loss", (updates.policy_loss + updates.kl_loss) / count},
      {"grad_norm", norms > 0 ? sum_of(updates.grad_norms) / norms : 0.0},
      {"lr", updates.lr},
      {"skipped_updates", updates.skipped},
      {"rollout_gap", frozen.rollout_gap},
      {"first_gap", updates.first_gap},
      {"by_step", by_step(rollout, guidance, frozen.drift, updates)},
      {"seconds",
       {{"rollout", sampled.rollout_seconds},
        {"reward", sampled.reward_seconds},
        {"guidance", guidance.seconds},
        {"old", frozen.seconds},
        {"update", updates.seconds},
        {"learn", learn_seconds}}},
      {"evaluations",
       {{"rollout", rollout.evaluations},
        {"guidance", guidance.evaluations},
        {"old", frozen.old_evaluations},
        {"reference",
         frozen.reference_evaluations + sampled.reference_evaluations},
        {"update", updates.evaluations}}},
      {"warnings", warnings_of(guidance, frozen, updates)}};
  for (const auto& [name, number] : guidance.numbers) out[name] = number;
  if (!sampled.parts.empty()) out["rewards"] = rewards_of(sampled.parts);
  return out;
}

}  // namespace rsm
