#include "rsm/analysis/estimator_error.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"

namespace rsm {
namespace {

constexpr int64_t kLeastSamples = 16;
/** Estimates from which an error is averaged at a state: with 100 states more
 * would tell nothing. */
constexpr int64_t kMostBlocks = 64;

/** A line of the result, whose error is still to come. */
struct Line {
  EstimatorError out;
  ToyBlocks size;
};

/** Mean error of one line at one state, and the variance of that mean. */
struct StateError {
  double mean = 0, variance = 0;
};

/** All lines of one policy and timestep. */
struct Setting {
  ToyPolicy policy;
  int64_t timestep;
  std::vector<ToyEstimator> estimators;
  torch::Tensor states;  ///< [points,2]
  /** In place of exact scores, of the policy and of the reference. */
  std::shared_ptr<Denoiser> learnt = nullptr, learnt_reference = nullptr;
};

const GaussianMixture& mixture_of(const ThreeModes& world, ToyPolicy policy) {
  return policy == ToyPolicy::tilted ? world.tilted() : world.reference();
}

std::vector<ToyBlocks> sizes_of(const ToyEstimator& estimator,
                                const EstimatorErrorOptions& options) {
  if (!estimator.random) return {ToyBlocks{}};
  std::vector<ToyBlocks> out;
  const int64_t all = options.samples * options.repeats;
  for (int64_t k = kLeastSamples; k <= options.samples; k *= 2) {
    out.push_back({k, std::min(kMostBlocks, all / k)});
  }
  return out;
}

std::vector<ToyOmega> omegas_of(const ToyEstimator& estimator) {
  if (!estimator.carried) return {ToyOmega::none};
  return {ToyOmega::step, ToyOmega::unit, ToyOmega::one};
}

torch::Tensor signal_at(int64_t timestep) {
  return at::full({1, 1, 1}, std::sqrt(ThreeModes::alpha_bars()[timestep]),
                  at::kDouble);
}

StateError error_of(const torch::Tensor& estimates,
                    const torch::Tensor& truth) {
  const auto errors = (estimates - truth).square().mean(1).sqrt();
  const int64_t count = errors.size(0);
  StateError out{.mean = errors.mean().item<double>()};
  if (count > 1) {
    out.variance = errors.var().item<double>() / static_cast<double>(count);
  }
  return out;
}

/** The lines' errors at one state, in their order. */
class AtState {
 public:
  AtState(const ThreeModes& world, const Setting& setting, int64_t point,
          const EstimatorErrorOptions& options)
      : world_(world),
        setting_(setting),
        options_(options),
        state_{point + 1, setting.states[point]} {}

  std::vector<StateError> errors() {
    const auto truth = world_
                           .value_gradient(state_.x.view({1, 2, 1}),
                                           signal_at(setting_.timestep))
                           .view({1, 2});
    std::vector<StateError> out;
    for (const auto& estimator : setting_.estimators) {
      const auto estimates = estimates_of(estimator);
      for (const auto omega : omegas_of(estimator)) {
        const double factor = factor_of(omega, estimator);
        for (const auto& some : estimates) {
          out.push_back(error_of(factor * some, truth));
        }
      }
    }
    return out;
  }

 private:
  std::vector<torch::Tensor> estimates_of(const ToyEstimator& estimator) {
    if (estimator.grid.empty()) return {at::zeros({1, 2}, at::kDouble)};
    if (!paths_ || !paths_->serves(estimator)) {
      path_ = estimator.path();
      exact_.emplace(mixture_of(world_, setting_.policy), *path_);
      exact_reference_.emplace(world_.reference(), *path_);
      const int64_t samples =
          estimator.random ? options_.samples * options_.repeats : 1;
      Denoiser& network = setting_.learnt ? *setting_.learnt : *exact_;
      Denoiser& reference = setting_.learnt_reference
                                ? *setting_.learnt_reference
                                : *exact_reference_;
      paths_.emplace(world_, network, reference, estimator, state_, samples,
                     options_.seed);
    }
    return paths_->estimates(estimator, sizes_of(estimator, options_));
  }

  const ThreeModes& world_;
  const Setting& setting_;
  const EstimatorErrorOptions& options_;
  ToyState state_;
  std::shared_ptr<const Path> path_;
  std::optional<MixtureDenoiser> exact_, exact_reference_;
  std::optional<ToyPaths> paths_;
};

void check(const EstimatorErrorOptions& options) {
  const auto refuse = [](const std::string& what, int64_t value,
                         const std::string& allowed) {
    throw UsageError(
        cat("[estimators] ", what, " is ", value, "; allowed: ", allowed));
  };
  const auto samples = static_cast<uint64_t>(options.samples);
  if (options.samples < kLeastSamples || !std::has_single_bit(samples)) {
    refuse("samples", options.samples, "a power of 2 from 16 on");
  }
  if (options.points < 1) refuse("points", options.points, "1 or more");
  if (options.repeats < 2) refuse("repeats", options.repeats, "2 or more");
}

std::vector<Line> lines_of(const Setting& setting,
                           const EstimatorErrorOptions& options) {
  std::vector<Line> out;
  for (const auto& estimator : setting.estimators) {
    for (const auto omega : omegas_of(estimator)) {
      for (const auto& size : sizes_of(estimator, options)) {
        out.push_back({{.estimator = estimator,
                        .timestep = setting.timestep,
                        .policy = setting.policy,
                        .omega = omega,
                        .samples = size.samples,
                        .evaluations = estimator.evaluations(size.samples)},
                       size});
      }
    }
  }
  return out;
}

/** Means over states, in their order. */
std::vector<EstimatorError> averaged(
    const std::vector<Line>& lines,
    const std::vector<std::vector<StateError>>& of_states) {
  const auto count = static_cast<double>(of_states.size());
  std::vector<EstimatorError> out;
  for (size_t i = 0; i < lines.size(); ++i) {
    auto line = lines[i].out;
    double variance = 0;
    for (const auto& errors : of_states) {
      line.rmse += errors[i].mean / count;
      variance += errors[i].variance / (count * count);
    }
    line.rmse_se = std::sqrt(variance);
    out.push_back(line);
  }
  return out;
}

}  // namespace

std::vector<EstimatorError> estimator_errors(
    const EstimatorErrorOptions& options, Progress& progress) {
  check(options);
  const ThreeModes world;
  std::vector<Setting> settings;
  std::map<ToyPolicy, std::shared_ptr<Denoiser>> learnt;
  for (const auto policy : options.policies) {
    for (const auto whose : {policy, ToyPolicy::reference}) {
      if (!options.learning || learnt[whose]) continue;
      learnt[whose] = std::make_shared<LearntNoise>(
          mixture_of(world, whose), toy_alpha_bars(), *options.learning,
          progress);
    }
    for (const int64_t timestep : options.timesteps) {
      auto estimators = toy_estimators(timestep, options.lookaheads);
      std::erase_if(estimators, [&](const ToyEstimator& each) {
        return each.only && *each.only != policy;
      });
      const double signal = std::sqrt(ThreeModes::alpha_bars()[timestep]);
      settings.push_back({policy, timestep, std::move(estimators),
                          world.states(options.points, signal), learnt[policy],
                          learnt[ToyPolicy::reference]});
    }
  }
  const int64_t jobs = std::ssize(settings) * options.points;
  std::vector<std::vector<StateError>> found(jobs);
  std::mutex told;
  int64_t done = 0;
  progress.begin("states", jobs);
  run_jobs(jobs, options.threads, [&](int64_t job) {
    progress.stop_point();
    found[job] = AtState(world, settings[job / options.points],
                         job % options.points, options)
                     .errors();
    const std::lock_guard lock(told);
    progress.update(++done, "");
  });
  progress.end();
  std::vector<EstimatorError> out;
  for (size_t i = 0; i < settings.size(); ++i) {
    const auto first = found.begin() + static_cast<int64_t>(i) * options.points;
    const auto some = averaged(lines_of(settings[i], options),
                               {first, first + options.points});
    out.insert(out.end(), some.begin(), some.end());
  }
  return out;
}

}  // namespace rsm
