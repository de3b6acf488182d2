#include "rsm/paths/flow_matching.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/paths/path.h"
#include "rsm/paths/scheduler_keys.h"

namespace rsm {
namespace {

constexpr double kLargestShift = 1e6;  ///< beyond, all steps but one are noise

double shifted(double u, double shift) {
  // Exactly 1 at 1, whatever rounding does: the first step tests for it.
  return u == 1 ? 1 : shift * u / (1 + (shift - 1) * u);
}

/** Keys of options that change the grid: off is the only value. */
constexpr std::array kOptions = {
    "invert_sigmas",    "shift_terminal",       "stochastic_sampling",
    "use_beta_sigmas",  "use_dynamic_shifting", "use_exponential_sigmas",
    "use_karras_sigmas"};

/** All keys of the class; others than the options and the first two have no
 * effect while dynamic shifting is off. */
const std::vector<std::string>& flow_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> all = {
        "shift",          "num_train_timesteps", "base_shift",
        "max_shift",      "base_image_seq_len",  "max_image_seq_len",
        "time_shift_type"};
    all.insert(all.end(), kOptions.begin(), kOptions.end());
    return all;
  }();
  return keys;
}

/** The ends of step i. */
Transition between(const std::vector<double>& times, int64_t i) {
  check_step(times, i);
  Transition step;
  step.t = times[i];
  step.t_next = times[i + 1];
  step.delta = (1 - step.t) / step.t;
  step.signal_next = 1 - step.t_next;
  step.reach = step.t;
  return step;
}

/** Euler-Maruyama's step of the SDE with coefficient `diffusion`. */
Transition with_diffusion(Transition step, double diffusion) {
  const double t = step.t;
  const double dt = step.dt();
  const double variance = diffusion * diffusion;
  step.diffusion = diffusion;
  step.a_x = 1 - variance * dt / (2 * t);
  step.m_y = -(1 + variance * (1 - t) / (2 * t)) * dt;
  step.s = diffusion * std::sqrt(dt);
  return step;
}

}  // namespace

FlowMatchSchedule FlowMatchSchedule::from_json(const nlohmann::json& config) {
  const JsonFields fields(config, "[scheduler_config]");
  fields.check("_class_name", fields.value("_class_name") == kClass, kClass);
  leftover_keys(config, flow_keys());
  for (const char* key : kOptions) {
    const auto& value = fields.value(key);
    fields.only(key, value.is_null() || value == false, "false");
  }
  FlowMatchSchedule schedule;
  schedule.shift = 1;
  fields.number_above("shift", schedule.shift, 0, kLargestShift);
  fields.integer("num_train_timesteps", schedule.train_steps, 1, kMostSteps);
  return schedule;
}

std::vector<std::string> FlowMatchSchedule::leftovers(
    const nlohmann::json& config) {
  return leftover_keys(config, flow_keys());
}

nlohmann::json FlowMatchSchedule::to_json() const {
  RSM_CHECK(double_shift, "[scheduler_config] a grid that is shifted once; ",
            kClass,
            " always shifts twice: keep such a schedule in the run's config");
  return {{"_class_name", kClass},
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
  const Transition step = between(times, i);
  RSM_CHECK(std::isfinite(noise_level) && noise_level >= 0,
            "[flow_sde_step] noise level ", noise_level,
            "; it must be 0 or more");
  const double t_noise = step.t == 1 ? step.t_next : step.t;
  return with_diffusion(step, noise_level * std::sqrt(step.t / (1 - t_noise)));
}

Transition flow_constant_step(const std::vector<double>& times, int64_t i,
                              double diffusion) {
  const Transition step = between(times, i);
  RSM_CHECK(std::isfinite(diffusion) && diffusion >= 0,
            "[flow_constant_step] noise level ", diffusion,
            "; it must be 0 or more");
  return with_diffusion(step, diffusion);
}

Transition flow_cps_step(const std::vector<double>& times, int64_t i,
                         double level) {
  Transition step = between(times, i);
  RSM_CHECK(level >= 0 && level <= 1, "[flow_cps_step] noise level ", level,
            "; a number from 0 to 1 is needed");
  const double half = std::sin(level * std::numbers::pi / 4);
  // t' (1 - cos(angle)): the mean's loss of noise.
  const double lost = step.t_next * 2 * half * half;
  step.a_x = 1 - lost;
  step.m_y = -(step.dt() + (1 - step.t) * lost);
  step.s = step.t_next * std::sin(level * std::numbers::pi / 2);
  step.diffusion = step.s / std::sqrt(step.dt());
  return step;
}

Transition flow_precise_step(const std::vector<double>& times, int64_t i,
                             double level) {
  Transition step = between(times, i);
  RSM_CHECK(std::isfinite(level) && level >= 0,
            "[flow_precise_step] noise level ", level,
            "; it must be 0 or more");
  const double t = step.t, next = step.t_next;
  const double odds = next * (1 - t) / (t * (1 - next));
  const double rho = std::pow(odds, level * level / 2);
  step.a_x = 1 - next * (1 - rho);
  step.m_y = -(step.dt() + (1 - t) * next * (1 - rho));
  step.s = next * std::sqrt((1 - rho) * (1 + rho));
  step.diffusion = step.s / std::sqrt(step.dt());
  return step;
}

Transition flow_churn_step(const std::vector<double>& times, int64_t i,
                           double level) {
  Transition step = between(times, i);
  RSM_CHECK(std::isfinite(level) && level >= 0,
            "[flow_churn_step] noise level ", level, "; it must be 0 or more");
  const double lost = step.t_next * level / (1 + level);
  step.a_x = 1 - lost;
  step.m_y = -(step.dt() + (1 - step.t) * lost);
  step.s = step.t_next * std::sqrt(level * (2 + level)) / (1 + level);
  step.diffusion = step.s / std::sqrt(step.dt());
  return step;
}

Transition flow_ode_step(const std::vector<double>& times, int64_t i) {
  return flow_sde_step(times, i, 0);
}

}  // namespace rsm
