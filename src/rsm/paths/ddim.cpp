#include "rsm/paths/ddim.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/paths/scheduler_keys.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr double kMostBeta = 0.9999;  ///< below 1: no noise takes all signal

/** A key with one supported value, and what its absence means. */
struct FixedKey {
  const char* key;
  json needed;
  json absent;
};

const std::vector<FixedKey>& fixed_keys() {
  static const std::vector<FixedKey> keys = {
      {"beta_schedule", "scaled_linear", "linear"},
      {"clip_sample", false, true},
      {"predict_epsilon", true, true},  // prediction_type's name of 2022
      {"prediction_type", "epsilon", "epsilon"},
      {"rescale_betas_zero_snr", false, false},
      {"set_alpha_to_one", false, true},
      {"thresholding", false, false},
      {"timestep_spacing", "leading", "leading"},
      {"trained_betas", nullptr, nullptr}};
  return keys;
}

/** Keys that have no effect while the fixed ones stand. */
const std::set<std::string>& idle_keys() {
  static const std::set<std::string> keys = {
      "clip_sample_range", "dynamic_thresholding_ratio", "sample_max_value",
      "skip_prk_steps"};
  return keys;
}

std::vector<std::string> ddim_keys() {
  std::vector<std::string> own = {"beta_start", "beta_end",
                                  "num_train_timesteps", "steps_offset"};
  for (const auto& fixed : fixed_keys()) {
    own.emplace_back(fixed.key);
  }
  own.insert(own.end(), idle_keys().begin(), idle_keys().end());
  return own;
}

void check_keys(const json& config, const JsonFields& fields) {
  leftover_keys(config, ddim_keys());
  for (const auto& [key, needed, absent] : fixed_keys()) {
    const json& given = fields.has(key) ? fields.value(key) : absent;
    fields.only(key, given == needed, needed.dump());
  }
}

/** s for eta = 1 and the weight W; c1 as in ddim_step(). */
double weighted_std(double weight, double least, double c1,
                    double next_variance) {
  RSM_CHECK(weight >= least, "[ddim_step] weight ", weight,
            "; no s has (c1 + c2) / s = weight here: at least ", least,
            " is needed");
  const double square = weight * weight + 1;
  return (weight * c1 + std::sqrt(square * next_variance - c1 * c1)) / square;
}

void check_points(const DdimPoint& from, const DdimPoint& to) {
  RSM_CHECK(from.t > to.t && from.alpha_bar > 0 &&
                from.alpha_bar < to.alpha_bar && to.alpha_bar <= 1,
            "[ddim_step] step from t = ", from.t, ", alpha_bar ",
            from.alpha_bar, " to t = ", to.t, ", alpha_bar ", to.alpha_bar,
            "; t must fall and alpha_bar rise, from above 0 to at most 1");
}

}  // namespace

DdimSchedule DdimSchedule::from_json(const json& config) {
  const JsonFields fields(config, "[scheduler_config]");
  const json& name = fields.value("_class_name");
  fields.check("_class_name", name == kClass || name == kOtherClass,
               cat(kClass, " or ", kOtherClass));
  check_keys(config, fields);
  DdimSchedule schedule;
  schedule.beta_start = 0.0001;
  schedule.beta_end = 0.02;
  fields.number_above("beta_start", schedule.beta_start, 0, kMostBeta);
  fields.number_above("beta_end", schedule.beta_end, 0, kMostBeta);
  RSM_CHECK(schedule.beta_end >= schedule.beta_start,
            "[scheduler_config] beta_start is ", schedule.beta_start,
            ", beta_end is ", schedule.beta_end,
            "; 0 < beta_start <= beta_end < 1 is needed");
  fields.integer("num_train_timesteps", schedule.train_steps, 1, kMostSteps);
  // diffusers takes 0 where it is absent.
  schedule.steps_offset =
      fields.integer("steps_offset", 1, schedule.train_steps);
  return schedule;
}

std::vector<std::string> DdimSchedule::leftovers(const json& config) {
  return leftover_keys(config, ddim_keys());
}

json DdimSchedule::to_json() const {
  json config = {{"_class_name", kClass},
                 {"_diffusers_version", "0.42.1"},
                 {"beta_start", beta_start},
                 {"beta_end", beta_end},
                 {"num_train_timesteps", train_steps},
                 {"steps_offset", steps_offset}};
  for (const auto& [key, needed, absent] : fixed_keys()) {
    config[key] = needed;
  }
  return config;
}

std::vector<double> DdimSchedule::alpha_bars() const {
  const double first = std::sqrt(beta_start);
  const double last = std::sqrt(beta_end);
  std::vector<double> out;
  double product = 1;
  for (int64_t k = 0; k < train_steps; ++k) {
    const double share =
        k == 0 ? 0
               : static_cast<double>(k) / static_cast<double>(train_steps - 1);
    const double root = first + (last - first) * share;
    product *= 1 - root * root;
    out.push_back(product);
  }
  return out;
}

std::vector<int64_t> DdimSchedule::timesteps(int64_t n) const {
  const int64_t stride = n < 1 ? 0 : train_steps / n;
  const int64_t first = (n - 1) * stride + steps_offset;
  RSM_CHECK(stride >= 1 && first < train_steps, "[DdimSchedule] ", n,
            " steps; at least 1 and a first timestep below ", train_steps,
            " are needed; with steps_offset ", steps_offset, " it is ", first);
  std::vector<int64_t> steps;
  for (int64_t k = n - 1; k >= 0; --k) {
    steps.push_back(k * stride + steps_offset);
  }
  steps.push_back(0);
  return steps;
}

double least_weight(const DdimPoint& from, const DdimPoint& to) {
  const double a = from.alpha_bar;
  const double next = to.alpha_bar;
  return std::sqrt(next * (1 - a) / (a * (1 - next)));
}

Transition ddim_step(const DdimPoint& from, const DdimPoint& to,
                     const DdimNoise& noise) {
  check_points(from, to);
  RSM_CHECK(noise.eta >= 0 && noise.eta <= 1, "[ddim_step] eta is ", noise.eta,
            "; a number from 0 to 1 is needed");
  const double a = from.alpha_bar;
  const double next = to.alpha_bar;
  const double c1 = std::sqrt(next * (1 - a) / a);
  const double full =
      noise.weight
          ? weighted_std(*noise.weight, least_weight(from, to), c1, 1 - next)
          : std::sqrt((1 - next) / (1 - a) * (1 - a / next));
  Transition step;
  step.t = from.t;
  step.t_next = to.t;
  step.s = noise.eta * full;
  step.a_x = std::sqrt(next / a);
  const double c2 = std::sqrt(std::max(0.0, 1 - next - step.s * step.s));
  step.m_y = -(c1 - c2);
  step.diffusion = step.s / std::sqrt(step.dt());
  step.delta = 1 / std::sqrt(1 - a);
  step.signal_next = std::sqrt(next);
  step.reach = std::sqrt(1 - a);
  return step;
}

}  // namespace rsm
