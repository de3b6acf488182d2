#include "rsm/paths/path.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/testing.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/testing.h"
#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

using enum SamplerNoise;
using Paths = std::vector<std::shared_ptr<const Path>>;

struct Sampler {
  std::shared_ptr<const Path> path;
  StepNoise noise;

  std::string name() const {
    const std::vector<std::string> words = {
        "usual", "cps", "constant", "even_weight", "precise", "churn"};
    return cat(path->family() == Family::flow ? "flow " : "diffusion ",
               words[static_cast<size_t>(noise.kind)], " ", noise.level, " ",
               noise.weight);
  }
  bool diffusion() const { return path->family() == Family::diffusion; }
  /** Its steps have the coefficients of picture and noise that x' has. */
  bool keeps_coefficients() const {
    return diffusion() || noise.kind == cps || noise.kind == precise ||
           noise.kind == churn || noise.level == 0;
  }
};

Paths both_paths() {
  return {std::make_shared<FlowPath>(), std::make_shared<DdimPath>()};
}

/** Every kind of step; `diffusion` has even_weight's from 50 steps on. */
std::vector<Sampler> samplers(const DdimSchedule& diffusion = {}) {
  const auto flow = std::make_shared<FlowPath>();
  const auto ddim = std::make_shared<DdimPath>(diffusion);
  std::vector<Sampler> all;
  for (const double level : {0.0, 0.3, 0.7, 1.2}) {
    all.push_back({flow, {usual, level}});
  }
  for (const double level : {0.3, 1.0}) {
    all.push_back({flow, {constant, level}});
  }
  for (const double level : {0.3, 0.7, 1.2}) {
    all.push_back({flow, {precise, level}});
  }
  for (const double level : {0.3, 0.7, 1.0}) {
    all.push_back({flow, {cps, level}});
  }
  for (const double level : {0.125, 1.0}) {
    all.push_back({flow, {churn, level}});
  }
  for (const double eta : {0.0, 0.3, 1.0}) {
    all.push_back({ddim, {usual, eta}});
  }
  for (const auto& [eta, weight] :
       {std::pair(1.0, 4.5), std::pair(0.5, 4.5), std::pair(1.0, 7.0)}) {
    all.push_back({ddim, {even_weight, eta, weight}});
  }
  return all;
}

TEST(Path, OdeStepsFollowAPictureAndItsNoise) {
  const auto normal = [](uint64_t index) {
    return counted_normal(counted_seed(3, Purpose::bench, {index}), {2, 4})
        .to(torch::kFloat64);
  };
  const auto picture = normal(1);
  const auto noise = normal(2);
  for (const auto& path : both_paths()) {
    const auto at = [&](double t) {
      return path->signal(t) * picture + path->noise(t) * noise;
    };
    const auto y = path->target(picture, noise);
    const auto times = path->times(10);
    for (int64_t i = 0; i < 10; ++i) {
      const auto next = step(path->ode_step(times, i), at(times[i]), y, {});
      const auto off = (next - at(times[i + 1])).abs().max().item<double>();
      EXPECT_LT(off, kRounding);
    }
  }
}

TEST(Path, OdeStepsAreEulersInSolverTime) {
  for (const auto& path : both_paths()) {
    // x / linear has the derivative y in solver time.
    const auto linear = [&](double t) {
      return path->family() == Family::flow ? 1 : path->signal(t);
    };
    const auto times = path->times(20);
    for (int64_t i = 0; i < 20; ++i) {
      const auto step = path->ode_step(times, i);
      const double length =
          path->solver_time(times[i + 1]) - path->solver_time(times[i]);
      EXPECT_LT(length, 0);
      EXPECT_NEAR(step.a_x, linear(times[i + 1]) / linear(times[i]), kRounding);
      EXPECT_NEAR(step.m_y, linear(times[i + 1]) * length, kRounding);
      EXPECT_EQ(step.s, 0);
    }
  }
}

TEST(Path, WithoutNoiseEverySamplerIsTheOde) {
  for (const auto& sampler : samplers()) {
    SCOPED_TRACE(sampler.name());
    const auto times = sampler.path->times(50);
    auto silent = sampler.noise;
    silent.level = 0;
    for (int64_t i = 0; i < 50; ++i) {
      const auto ode = sampler.path->ode_step(times, i);
      const auto step = sampler.path->noisy_step(times, i, silent);
      EXPECT_EQ(step.a_x, ode.a_x);
      EXPECT_EQ(step.m_y, ode.m_y);
      EXPECT_EQ(step.s, 0);
      EXPECT_EQ(step.diffusion, 0);
    }
  }
}

TEST(Path, EveryStepMayHaveALevelOfItsOwn) {
  for (auto sampler : samplers()) {
    SCOPED_TRACE(sampler.name());
    const auto times = sampler.path->times(50);
    auto listed = sampler.noise;
    listed.levels = {0.9, sampler.noise.level, 0.4};  // 0.4 of all further ones
    const auto steps = sampler.path->noisy_steps(times, listed);
    for (int64_t i = 0; i < 50; ++i) {
      auto alone = sampler.noise;
      alone.level = listed.levels[std::min<int64_t>(i, 2)];
      const auto step = sampler.path->noisy_step(times, i, alone);
      EXPECT_EQ(steps[i].s, step.s) << i;
      EXPECT_EQ(steps[i].m_y, step.m_y) << i;
    }
  }
}

TEST(Path, NoiseOnlyRaisesTheWeightOfTheOutput) {
  // d mean / d y of the ODE step, and more for the score that noise needs.
  for (const auto& sampler : samplers()) {
    SCOPED_TRACE(sampler.name());
    const auto times = sampler.path->times(50);
    const auto steps = sampler.path->noisy_steps(times, sampler.noise);
    ASSERT_EQ(steps.size(), 50U);
    for (int64_t i = 0; i < 50; ++i) {
      const auto ode = sampler.path->ode_step(times, i);
      EXPECT_LE(steps[i].m_y, ode.m_y);
      EXPECT_LT(ode.m_y, 0);
      EXPECT_EQ(steps[i].t, times[i]);
      EXPECT_EQ(steps[i].t_next, times[i + 1]);
      EXPECT_EQ(steps[i].delta, ode.delta);
      EXPECT_NEAR(steps[i].diffusion * std::sqrt(steps[i].dt()), steps[i].s,
                  kRounding);
      EXPECT_TRUE(std::isfinite(steps[i].a_x) && std::isfinite(steps[i].m_y));
    }
  }
}

TEST(Path, EveryStepKeepsTheMeanOfAGaussian) {
  for (const auto& sampler : samplers()) {
    SCOPED_TRACE(sampler.name());
    const auto times = sampler.path->times(50);
    for (int64_t count = 1; count <= 50; ++count) {
      const auto at =
          sampled(*sampler.path, times, sampler.noise, kPicture, count);
      EXPECT_NEAR(at.mean, noised(*sampler.path, kPicture, times[count]).mean,
                  kRounding);
    }
  }
}

TEST(Path, StepsThatKeepCoefficientsLackOnlyTheSpreadOfThePicture) {
  // A step puts the mean of the picture given x in place of a picture, so its
  // variance lacks k^2 Var(picture | x), k the picture's coefficient in x'.
  // Without a spread, marginals are exact.
  for (const auto& sampler : samplers()) {
    if (!sampler.keeps_coefficients()) continue;
    SCOPED_TRACE(sampler.name());
    const auto& path = *sampler.path;
    for (const int64_t n : {1, 5, 50}) {
      if (sampler.noise.kind == even_weight && n < 50) continue;
      const auto times = path.times(n);
      for (const double variance : {0.0, 0.36}) {
        const Gaussian picture = {.mean = 1.3, .variance = variance};
        for (int64_t i = 0; i < n; ++i) {
          const auto step = path.noisy_step(times, i, sampler.noise);
          const auto now = noised(path, picture, step.t);
          const auto exact = noised(path, picture, step.t_next);
          const auto found = stepped(path, step, now, picture);
          const double noise = path.noise(step.t);
          const double k = step.M() / noise *
                           (sampler.diffusion() ? path.signal(step.t) : 1);
          const double spread = variance * noise * noise / now.variance;
          EXPECT_NEAR(found.variance, exact.variance - k * k * spread,
                      kRounding);
        }
      }
    }
  }
}

/** The variance that infinitely many steps lead to. Of a sampler whose s does
 * not shrink with the step, each turns the noise by an angle: with
 * k = (1 - cos) noise^2 / V it takes v to (1 - k)^2 v + sin^2 noise^2, and this
 * is where v stays. V itself where the angle is 0. */
double variance_of_many_steps(const Sampler& sampler, double t) {
  const auto& [kind, level, weight, levels] = sampler.noise;
  double sine = 0;
  if (kind == cps) sine = std::sin(level * std::numbers::pi / 2);
  if (kind == churn) sine = std::sqrt(level * (2 + level)) / (1 + level);
  if (kind == even_weight) sine = level * 2 * weight / (1 + weight * weight);
  const double lost = 1 - std::sqrt(1 - sine * sine);
  const double noise = sampler.path->noise(t);
  const double variance = noised(*sampler.path, kPicture, t).variance;
  return variance * (2 - lost) / (2 - lost * noise * noise / variance);
}

TEST(Path, SamplersOfAGaussianConvergeAtFirstOrder) {
  // Away from t = 1 and 0, where schedules may have roots. As many timesteps
  // as divide evenly, so that these grids have even steps.
  constexpr double kTimesteps = 32000;
  const DdimSchedule fine = {.beta_start = 0.85 / kTimesteps,
                             .beta_end = 12 / kTimesteps,
                             .train_steps = static_cast<int64_t>(kTimesteps)};
  for (const auto& sampler : samplers(fine)) {
    SCOPED_TRACE(sampler.name());
    const auto gap = [&](int64_t n) {
      const auto times = sampler.path->times_from(0.9, n);
      const int64_t count = n / 4 * 3;
      const double variance =
          sampled(*sampler.path, times, sampler.noise, kPicture, count)
              .variance;
      return variance / variance_of_many_steps(sampler, times[count]) - 1;
    };
    EXPECT_LT(std::abs(gap(1600)), 2e-3);
    // The next order's share of the gap: 0.023 of the faintest noise that does
    // not shrink, as its spread takes longest to settle.
    EXPECT_NEAR(order_at(1600, gap), 1, 0.03);
  }
}

TEST(Path, DrawnStatesHaveTheMomentsOfTheClosedForm) {
  constexpr int64_t kDraws = 1 << 18;
  const auto normal = [](uint64_t index) {
    return counted_normal(counted_seed(5, Purpose::bench, {index}), {kDraws})
        .to(torch::kFloat64);
  };
  constexpr int64_t kSteps = 3;
  for (const auto& sampler : samplers()) {
    SCOPED_TRACE(sampler.name());
    const auto& path = *sampler.path;
    const auto times = path.times_from(0.9, 5);
    auto x = path.signal(0.9) *
                 (kPicture.mean + std::sqrt(kPicture.variance) * normal(0)) +
             path.noise(0.9) * normal(1);
    for (int64_t i = 0; i < kSteps; ++i) {
      const auto exact = exact_output(path, kPicture, times[i]);
      const double mean = noised(path, kPicture, times[i]).mean;
      const auto y = exact.middle + exact.slope * (x - mean);
      x = step(path.noisy_step(times, i, sampler.noise), x, y, normal(i + 2));
    }
    const auto found = sampled(path, times, sampler.noise, kPicture, kSteps);
    // Five standard errors.
    EXPECT_NEAR(x.mean().item<double>(), found.mean,
                5 * std::sqrt(found.variance / kDraws));
    EXPECT_NEAR(x.var().item<double>(), found.variance,
                5 * found.variance * std::sqrt(2.0 / kDraws));
  }
}

void expect_falls(const std::vector<double>& times, int64_t n) {
  ASSERT_EQ(times.size(), static_cast<size_t>(n + 1));
  EXPECT_LE(times.front(), 1);
  EXPECT_EQ(times.back(), 0);
  for (int64_t i = 0; i < n; ++i) EXPECT_GT(times[i], times[i + 1]);
}

TEST(Path, TimesFallFromTheirStartToZero) {
  for (const auto& path : both_paths()) {
    for (const int64_t n : {1, 2, 7, 50, 333}) {
      const auto times = path->times(n);
      expect_falls(times, n);
      for (const double t : {times[0], times[n / 2], times[n - 1]}) {
        // Diffusion has its timesteps alone.
        const int64_t most =
            path->family() == Family::flow ? 2000 : std::lround(1000 * t);
        for (const int64_t m : {int64_t{1}, (most + 2) / 3, most}) {
          const auto rest = path->times_from(t, m);
          expect_falls(rest, m);
          EXPECT_EQ(rest.front(), t);
        }
      }
    }
    EXPECT_THROW(path->times(0), Error);
    EXPECT_THROW(path->times_from(0.5, 0), Error);
    EXPECT_THROW(path->times_from(0, 1), Error);
    EXPECT_THROW(path->times_from(1.1, 1), Error);
  }
}

TEST(Path, RefusesStepsOutsideTheGrid) {
  for (const auto& path : both_paths()) {
    const auto times = path->times(10);
    for (const int64_t i : {-1, 10}) {
      expect_parts(error_of([&] { path->ode_step(times, i); }),
                   {cat("step ", i), "0 to 9"});
      EXPECT_THROW(path->noisy_step(times, i, {usual, 0.5}), Error);
    }
    EXPECT_THROW(path->ode_step({times[3], times[2]}, 0), Error);
    EXPECT_THROW(path->ode_step({}, 0), Error);
  }
}

TEST(Path, SamplersOfTheOtherFamilyAreMistakesOfTheUser) {
  const auto refused = [](const Path& path, SamplerNoise kind,
                          const std::string& word) {
    const auto times = path.times(10);
    const auto sample = [&] { path.noisy_step(times, 3, {kind, 0.5}); };
    EXPECT_THROW(sample(), UsageError);
    expect_parts(error_of(sample), {"sampling.sampler", word, "usual"});
  };
  refused(FlowPath(), even_weight, "even_weight");
  refused(DdimPath(), cps, "cps");
  refused(DdimPath(), constant, "constant");
  refused(DdimPath(), churn, "churn");
}

TEST(Path, ComesBackFromJson) {
  const FlowPath flow({.shift = 2.5, .train_steps = 500});
  const DdimPath ddim({.beta_start = 0.001,
                       .beta_end = 0.03,
                       .train_steps = 400,
                       .steps_offset = 3});
  for (const Path* path : std::vector<const Path*>{&flow, &ddim}) {
    const auto again = Path::from_json(path->to_json());
    EXPECT_EQ(again->family(), path->family());
    EXPECT_EQ(again->to_json(), path->to_json());
    EXPECT_EQ(again->times(7), path->times(7));
    EXPECT_EQ(again->noise(0.5), path->noise(0.5));
  }
}

TEST(Path, IsReadByItsClass) {
  auto config = DdimPath().to_json();
  config["_class_name"] = "PNDMScheduler";
  EXPECT_EQ(Path::from_json(config)->family(), Family::diffusion);
  config["_class_name"] = "DPMSolverMultistepScheduler";
  config["solver_order"] = 2;
  expect_parts(
      error_of([&] { Path::from_json(config); }),
      {"DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler",
       "DDIMScheduler", "PNDMScheduler", "beta_schedule"});
  // As the error says.
  config["_class_name"] = "DDIMScheduler";
  EXPECT_EQ(Path::from_json(config)->to_json(), DdimPath().to_json());
  config.erase("_class_name");
  EXPECT_THROW(Path::from_json(config), Error);
  EXPECT_THROW(Path::from_json(nlohmann::json(3)), Error);
}

TEST(Path, UsualLevelsAreThoseOfTheReleases) {
  EXPECT_EQ(usual_level(usual, Family::flow), 0.7);
  EXPECT_EQ(usual_level(cps, Family::flow), 0.7);
  EXPECT_EQ(usual_level(constant, Family::flow), 0.3);
  EXPECT_EQ(usual_level(churn, Family::flow), 0.0025);
  EXPECT_EQ(usual_level(usual, Family::diffusion), 1);
  EXPECT_EQ(usual_level(even_weight, Family::diffusion), 1);
}

}  // namespace
}  // namespace rsm
