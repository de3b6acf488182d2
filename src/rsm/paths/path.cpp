#include "rsm/paths/path.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/scheduler_keys.h"

namespace rsm {

using nlohmann::json;

namespace {

constexpr const char* kName = "_class_name";

/** Of FDFO's release. */
constexpr double kUsualChurn = 0.0025;

}  // namespace

void check_step(const std::vector<double>& times, int64_t i) {
  const auto steps = static_cast<int64_t>(times.size()) - 1;
  RSM_CHECK(i >= 0 && i < steps, "[Path] step ", i, " of a grid with ", steps,
            " steps; allowed: 0 to ", steps - 1);
  RSM_CHECK(times[i] <= 1 && times[i] > times[i + 1] && times[i + 1] >= 0,
            "[Path] step from t = ", times[i], " to ", times[i + 1],
            "; times must fall within 1 to 0");
}

Transitions Path::noisy_steps(const std::vector<double>& times,
                              const StepNoise& noise) const {
  Transitions steps;
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    steps.push_back(noisy_step(times, static_cast<int64_t>(i), noise));
  }
  return steps;
}

std::shared_ptr<const Path> Path::from_json(const json& config) {
  const json& name = JsonFields(config, "[scheduler_config]").value(kName);
  if (name == FlowMatchSchedule::kClass) {
    return std::make_shared<FlowPath>(FlowMatchSchedule::from_json(config));
  }
  if (name == DdimSchedule::kClass || name == DdimSchedule::kOtherClass) {
    return std::make_shared<DdimPath>(DdimSchedule::from_json(config));
  }
  throw Error("[scheduler_config] " + other_scheduler(shown_json(name)));
}

std::vector<std::string> Path::leftovers(const json& config) {
  const json& name = JsonFields(config, "[scheduler_config]").value(kName);
  return name == FlowMatchSchedule::kClass
             ? FlowMatchSchedule::leftovers(config)
             : DdimSchedule::leftovers(config);
}

double usual_level(SamplerNoise kind, Family family) {
  switch (kind) {
    case SamplerNoise::constant:
      return 0.3;
    case SamplerNoise::even_weight:
      return 1;
    case SamplerNoise::churn:
      return kUsualChurn;
    case SamplerNoise::usual:
    case SamplerNoise::cps:
    case SamplerNoise::precise:
      break;
  }
  return family == Family::diffusion ? 1 : 0.7;
}

double Path::extrapolation(const std::vector<double>& times, int64_t i) const {
  const auto length = [&](int64_t k) {
    return solver_time(times.at(k)) - solver_time(times.at(k + 1));
  };
  return length(i) / (2 * length(i - 1));
}

}  // namespace rsm
