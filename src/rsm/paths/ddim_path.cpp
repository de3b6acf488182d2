#include "rsm/paths/ddim_path.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** How far a time may be from a timestep, in timesteps. Times that went through
 * float32 are off by 6e-8 of 1000. */
constexpr double kOffTimestep = 1e-3;

}  // namespace

DdimPath::DdimPath(const DdimSchedule& schedule)
    : schedule_(schedule),
      train_steps_(static_cast<double>(schedule.train_steps)),
      alpha_bars_(schedule.alpha_bars()) {}

DdimPath::DdimPath(std::vector<double> alpha_bars, std::vector<int64_t> grid)
    : train_steps_(static_cast<double>(alpha_bars.size())),
      alpha_bars_(std::move(alpha_bars)),
      grid_(std::move(grid)) {
  RSM_CHECK(grid_.size() >= 2 && grid_.back() == 0 &&
                grid_.front() < std::ssize(alpha_bars_) &&
                std::adjacent_find(grid_.begin(), grid_.end(),
                                   std::less_equal()) == grid_.end(),
            "[DdimPath] a grid of ", grid_.size(), " timesteps for ",
            alpha_bars_.size(),
            " alpha_bars; they must fall to 0 from one that has an alpha_bar");
  for (size_t i = 0; i < alpha_bars_.size(); ++i) {
    const double above = i == 0 ? 1 : alpha_bars_[i - 1];
    RSM_CHECK(alpha_bars_[i] > 0 && alpha_bars_[i] <= above &&
                  (i == 0 || alpha_bars_[i] < above),
              "[DdimPath] alpha_bar ", alpha_bars_[i], " of timestep ", i,
              "; they must fall from at most 1 and stay above 0");
  }
}

int64_t DdimPath::timestep(double t) const {
  const double nearest = std::round(t * train_steps_);
  RSM_CHECK(nearest >= 0 && nearest < train_steps_ &&
                std::abs(t * train_steps_ - nearest) < kOffTimestep,
            "[DdimPath] t = ", t, "; allowed: 0 to ", train_steps_ - 1,
            ", divided by ", train_steps_);
  return static_cast<int64_t>(nearest);
}

double DdimPath::signal(double t) const { return std::sqrt(alpha_bar(t)); }

double DdimPath::noise(double t) const { return std::sqrt(1 - alpha_bar(t)); }

double DdimPath::solver_time(double t) const { return noise(t) / signal(t); }

std::vector<double> DdimPath::times(int64_t n) const {
  const int64_t steps = std::ssize(grid_) - 1;
  RSM_CHECK(grid_.empty() || n == steps, "[DdimPath] ", n,
            " steps on a grid of its own; it has ", steps);
  std::vector<double> times;
  for (const int64_t timestep :
       grid_.empty() ? schedule_.timesteps(n) : grid_) {
    times.push_back(static_cast<double>(timestep) / train_steps_);
  }
  return times;
}

std::vector<double> DdimPath::times_from(double t, int64_t n) const {
  const int64_t first = timestep(t);
  RSM_CHECK(n >= 1 && n <= first, "[DdimPath] ", n, " steps from t = ", t,
            "; allowed: 1 to ", first, ", its timestep");
  std::vector<double> times;
  for (int64_t k = n; k >= 0; --k) {
    const double even = static_cast<double>(first * k) / static_cast<double>(n);
    times.push_back(std::round(even) / train_steps_);
  }
  return times;
}

Transition DdimPath::step(const std::vector<double>& times, int64_t i,
                          const DdimNoise& noise) const {
  check_step(times, i);
  const DdimPoint from = {.t = times[i], .alpha_bar = alpha_bar(times[i])};
  const DdimPoint to = {.t = times[i + 1],
                        .alpha_bar = alpha_bar(times[i + 1])};
  DdimNoise possible = noise;
  if (noise.weight && *noise.weight < least_weight(from, to)) {
    possible.weight.reset();
  }
  return ddim_step(from, to, possible);
}

double DdimPath::short_stride_ratio(const std::vector<double>& times,
                                    int64_t i) const {
  const int64_t now = timestep(times[i]);
  const int64_t stride =
      std::max<int64_t>(1, std::ssize(alpha_bars_) / std::ssize(times));
  const auto variance = [&](double next) {
    return (1 - next) * (1 - alpha_bars_[now] / next);
  };
  const double own = variance(alpha_bar(times[i + 1]));
  const double shorter =
      variance(alpha_bars_[std::max<int64_t>(0, now - stride)]);
  return own > 0 ? shorter / own : 1;
}

double DdimPath::nearest_time(double t) const {
  return std::clamp(std::round(t * train_steps_), 1.0, train_steps_ - 1) /
         train_steps_;
}

Transition DdimPath::ode_step(const std::vector<double>& times,
                              int64_t i) const {
  return step(times, i, {.eta = 0});
}

Transition DdimPath::noisy_step(const std::vector<double>& times, int64_t i,
                                const StepNoise& noise) const {
  DdimNoise own = {.eta = noise.level_at(i)};
  switch (noise.kind) {
    case SamplerNoise::even_weight:
      RSM_CHECK(noise.weight > 1, "[DdimPath] weight ", noise.weight,
                " of even_weight; a number above 1 is needed");
      own.weight = noise.weight;
      [[fallthrough]];
    case SamplerNoise::usual: {
      auto out = step(times, i, own);
      out.short_stride_ratio = short_stride_ratio(times, i);
      return out;
    }
    case SamplerNoise::cps:
    case SamplerNoise::constant:
    case SamplerNoise::precise:
    case SamplerNoise::churn:
      break;
  }
  throw UsageError(
      cat("[sampling.sampler] ",
          noise.kind == SamplerNoise::cps        ? "cps"
          : noise.kind == SamplerNoise::constant ? "constant"
          : noise.kind == SamplerNoise::churn    ? "churn"
                                                 : "precise",
          " is for flows, the model is a diffusion model; allowed: usual, "
          "even_weight"));
}

torch::Tensor DdimPath::target(const torch::Tensor& /*picture*/,
                               const torch::Tensor& noise) const {
  return noise;
}

Path::Prediction DdimPath::prediction(double t) const {
  return {1 / signal(t), -noise(t) / signal(t)};
}

nlohmann::json DdimPath::to_json() const {
  RSM_CHECK(grid_.empty(),
            "[DdimPath] alpha_bars of its own are asked for as a "
            "scheduler_config.json; only a DdimSchedule has one");
  return schedule_.to_json();
}

}  // namespace rsm
