#include "rsm/paths/flow_matching.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr const char* kClassName = "FlowMatchEulerDiscreteScheduler";

double shifted(double u, double shift) {
  // Exactly 1 at 1, whatever rounding does: the first step tests for it.
  return u == 1 ? 1 : shift * u / (1 + (shift - 1) * u);
}

/** Keys that have no effect while dynamic shifting is off. */
const std::set<std::string>& idle_keys() {
  static const std::set<std::string> keys = {
      "base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len",
      "time_shift_type"};
  return keys;
}

void check_step(const std::vector<double>& times, int64_t i) {
  const auto steps = static_cast<int64_t>(times.size()) - 1;
  RSM_CHECK(i >= 0 && i < steps, "[flow_matching] step ", i, " of a grid with ",
            steps, " steps; allowed: 0 to ", steps - 1);
  RSM_CHECK(times[i] <= 1 && times[i] > times[i + 1] && times[i + 1] >= 0,
            "[flow_matching] step from t = ", times[i], " to ", times[i + 1],
            "; times must fall within 1 to 0");
}

}  // namespace

FlowMatchSchedule FlowMatchSchedule::from_json(const nlohmann::json& config) {
  const std::string name = config.value("_class_name", "");
  RSM_CHECK(name == kClassName, "[scheduler_config] class \"", name,
            "\"; allowed: ", kClassName);
  FlowMatchSchedule schedule;
  schedule.shift = config.value("shift", 1.0);
  schedule.train_steps = config.value("num_train_timesteps", int64_t{1000});
  for (const auto& [key, value] : config.items()) {
    if (key.starts_with("_") || key == "shift" ||
        key == "num_train_timesteps" || idle_keys().contains(key)) {
      continue;
    }
    RSM_CHECK(value.is_null() || value == false, "[scheduler_config] ", key,
              " = ", value.dump(), " is not supported; allowed: a ", kClassName,
              " with shift and num_train_timesteps only");
  }
  RSM_CHECK(schedule.shift > 0 && schedule.train_steps > 0,
            "[scheduler_config] shift = ", schedule.shift,
            ", num_train_timesteps = ", schedule.train_steps,
            "; both must be above 0");
  return schedule;
}

nlohmann::json FlowMatchSchedule::to_json() const {
  RSM_CHECK(double_shift, "[scheduler_config] a grid that is shifted once; ",
            kClassName,
            " always shifts twice: keep such a schedule in the run's config");
  return {{"_class_name", kClassName},
          {"num_train_timesteps", train_steps},
          {"shift", shift},
          {"use_dynamic_shifting", false}};
}

std::vector<double> FlowMatchSchedule::times_from(double t, int64_t n) const {
  RSM_CHECK(t > 0 && t <= 1 && n >= 1, "[FlowMatchSchedule] ", n,
            " steps from t = ", t,
            " arrived; at least 1 step from a time in (0, 1] is needed");
  const double even = t / (shift - (shift - 1) * t);
  std::vector<double> grid = {t};
  for (int64_t k = 1; k <= n; ++k) {
    const double u = even * static_cast<double>(n - k) / static_cast<double>(n);
    grid.push_back(shift * u / (1 + (shift - 1) * u));
  }
  return grid;
}

std::vector<double> FlowMatchSchedule::times(int64_t n) const {
  RSM_CHECK(n >= 1, "[flow_matching] ", n, " steps; at least 1 is needed");
  double first = 1;
  double last = 0;
  double intervals = static_cast<double>(n);
  if (double_shift) {
    last = shifted(1.0 / static_cast<double>(train_steps), shift);
    intervals = std::max(intervals - 1, 1.0);
  }
  std::vector<double> times;
  for (int64_t i = 0; i < n; ++i) {
    const double u =
        first + (last - first) * static_cast<double>(i) / intervals;
    times.push_back(shifted(u, shift));
  }
  times.push_back(0);
  return times;
}

Transition flow_sde_step(const std::vector<double>& times, int64_t i,
                         double noise_level) {
  check_step(times, i);
  RSM_CHECK(std::isfinite(noise_level) && noise_level >= 0,
            "[flow_sde_step] noise level ", noise_level,
            "; it must be 0 or more");
  Transition step;
  step.t = times[i];
  step.t_next = times[i + 1];
  const double t = step.t;
  const double dt = step.dt();
  const double t_noise = t == 1 ? times[1] : t;
  step.diffusion = noise_level * std::sqrt(t / (1 - t_noise));
  const double variance = step.diffusion * step.diffusion;
  step.a_x = 1 - variance * dt / (2 * t);
  step.m_y = -(1 + variance * (1 - t) / (2 * t)) * dt;
  step.s = step.diffusion * std::sqrt(dt);
  step.delta = (1 - t) / t;
  return step;
}

Transition flow_ode_step(const std::vector<double>& times, int64_t i) {
  return flow_sde_step(times, i, 0);
}

Transitions flow_sde_transitions(const std::vector<double>& times,
                                 double noise_level) {
  Transitions steps;
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    steps.push_back(flow_sde_step(times, static_cast<int64_t>(i), noise_level));
  }
  return steps;
}

}  // namespace rsm
