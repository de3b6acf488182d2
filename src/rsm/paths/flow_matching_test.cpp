#include "rsm/paths/flow_matching.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"

namespace rsm {
namespace {

constexpr double kNoise = 0.7;

/** timestep, t, dt, s~, s, s^2, a_x, M, w, Omega, delta, s^2 / Omega. */
const std::vector<std::vector<double>> kTenSteps = {
    {1000, 1, 0.0398707, 3.50567, 0.7, 0.49, 0.755, 0.0398707, 0.0569581,
     INFINITY, 0, 0},
    {960.129, 0.960129, 0.0467804, 3.43507, 0.742964, 0.551996, 0.712541,
     0.0582416, 0.0783908, 1.40252, 0.0415264, 0.393574},
    {913.349, 0.913349, 0.0556566, 2.27263, 0.536152, 0.287459, 0.842635,
     0.0692925, 0.12924, 0.730381, 0.0948718, 0.393574},
    {857.692, 0.857692, 0.067324, 1.7185, 0.445897, 0.198824, 0.884093,
     0.0838184, 0.187977, 0.505176, 0.165919, 0.393574},
    {790.368, 0.790368, 0.0830898, 1.3592, 0.391794, 0.153503, 0.902892,
     0.103447, 0.264033, 0.390022, 0.265233, 0.393574},
    {707.278, 0.707278, 0.105128, 1.08809, 0.352797, 0.124466, 0.912011,
     0.130884, 0.37099, 0.316245, 0.41387, 0.393574},
    {602.151, 0.602151, 0.137275, 0.861175, 0.31907, 0.101806, 0.915465,
     0.170907, 0.53564, 0.25867, 0.660714, 0.393574},
    {464.876, 0.464876, 0.186827, 0.652438, 0.282007, 0.0795278, 0.914463,
     0.2326, 0.824803, 0.202066, 1.15111, 0.393574},
    {278.049, 0.278049, 0.26912, 0.434415, 0.22536, 0.0507873, 0.908672,
     0.335055, 1.48675, 0.129041, 2.59649, 0.393574},
    {8.92857, 0.00892857, 0.00892857, 0.0664411, 0.00627809, 3.94144e-05,
     0.997793, 0.0111161, 1.77061, 0.000100145, 111, 0.393574}};

TEST(FlowMatching, ReproducesPublishedTableOfTenSteps) {
  const auto steps =
      flow_sde_transitions(FlowMatchSchedule{}.times(10), kNoise);
  ASSERT_EQ(steps.size(), kTenSteps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    SCOPED_TRACE(i);
    const auto& row = kTenSteps[i];
    const auto& step = steps[i];
    expect_digits(1000 * step.t, row[0]);
    expect_digits(step.t, row[1]);
    expect_digits(step.dt(), row[2]);
    expect_digits(step.diffusion, row[3]);
    expect_digits(step.s, row[4]);
    expect_digits(step.s * step.s, row[5]);
    expect_digits(step.a_x, row[6]);
    expect_digits(step.M(), row[7]);
    expect_digits(step.w(), row[8]);
    if (i > 0) expect_digits(step.omega(), row[9]);
    expect_digits(step.delta, row[10]);
    expect_digits(step.s * step.s / step.omega(), row[11]);
    EXPECT_LT(step.m_y, 0);
  }
}

TEST(FlowMatching, ReproducesPublishedScheduleOfFortySteps) {
  const std::vector<double> t = {1,        0.991331, 0.982356, 0.973058,
                                 0.963421, 0.953424, 0.943048, 0.932270,
                                 0.921067, 0.909412};
  const std::vector<double> diffusion = {7.51812, 7.48546, 5.22313, 4.20683,
                                         3.59243, 3.16709, 2.84845, 2.59704,
                                         2.39119, 2.21791};
  const std::vector<double> dt = {
      0.00866917, 0.00897509, 0.00929749, 0.00963759, 0.00999669,
      0.0103763,  0.0107778,  0.0112032,  0.0116543,  0.0121331};
  const auto steps =
      flow_sde_transitions(FlowMatchSchedule{}.times(40), kNoise);
  ASSERT_EQ(steps.size(), 40u);
  for (size_t i = 0; i < t.size(); ++i) {
    expect_digits(steps[i].t, t[i]);
    expect_digits(steps[i].diffusion, diffusion[i]);
    expect_digits(steps[i].dt(), dt[i]);
  }
  expect_digits(steps[39].t, 0.00892857);
}

/** AWM's sampler and, of ten steps, DiffusionNFT's; both after the release of
 * Stable Diffusion 3.5, shift 3. */
TEST(FlowMatching, ReproducesPublishedGridsOfPictures) {
  const std::vector<double> ten = {1,        0.960129,  0.913349, 0.857692,
                                   0.790368, 0.707278,  0.602151, 0.464876,
                                   0.278049, 0.00892857};
  const std::vector<double> fourteen = {
      1,        0.973058, 0.943048, 0.909412, 0.871453, 0.82828,  0.778738,
      0.721306, 0.653936, 0.573805, 0.476909, 0.357368, 0.206198, 0.00892857};
  for (const auto& expected : {ten, fourteen}) {
    const auto times = FlowMatchSchedule{}.times(std::ssize(expected));
    ASSERT_EQ(times.size(), expected.size() + 1);
    for (size_t i = 0; i < expected.size(); ++i) {
      expect_digits(times[i], expected[i]);
    }
    EXPECT_EQ(times.back(), 0);
  }
}

TEST(FlowMatching, VarianceOverOmegaIsOneConstantBelowTimeOne) {
  for (const double noise : {0.3, 0.7, 1.2}) {
    const double constant = noise * noise / (1 + noise * noise / 2);
    for (const double shift : {1.0, 3.0, 5.0}) {
      const auto times = FlowMatchSchedule{.shift = shift}.times(17);
      const auto steps = flow_sde_transitions(times, noise);
      for (size_t i = 1; i < steps.size(); ++i) {
        EXPECT_NEAR(steps[i].s * steps[i].s / steps[i].omega(), constant,
                    1e-12);
      }
    }
  }
  EXPECT_NEAR(0.7 * 0.7 / (1 + 0.7 * 0.7 / 2), 0.393574297, 5e-10);
}

TEST(FlowMatching, FirstStepIsFiniteAtTimeOne) {
  for (const double shift : {1.0, 1.15, 3.0, 7.3}) {
    const auto times = FlowMatchSchedule{.shift = shift}.times(10);
    EXPECT_EQ(times.front(), 1);
    const auto step = flow_sde_step(times, 0, kNoise);
    EXPECT_EQ(step.delta, 0);
    EXPECT_DOUBLE_EQ(step.diffusion, kNoise / std::sqrt(1 - times[1]));
    // With t = 1 the drift has no score term: Euler's step of x scaled.
    EXPECT_DOUBLE_EQ(step.M(), step.dt());
    EXPECT_TRUE(std::isfinite(step.w()));
  }
}

TEST(FlowMatching, StepsLeadToTheNextTime) {
  // With the true velocity e - c at x_t = (1 - t) c + t e, both kinds of step
  // carry exactly (1 - t_next) c; the stochastic one trades some of e for its
  // own noise.
  const auto times = FlowMatchSchedule{}.times(10);
  for (int64_t i = 0; i < 10; ++i) {
    const auto ode = flow_ode_step(times, i);
    EXPECT_EQ(ode.s, 0);
    EXPECT_NEAR(ode.a_x * (1 - ode.t) - ode.m_y, 1 - ode.t_next, 1e-15);
    EXPECT_NEAR(ode.a_x * ode.t + ode.m_y, ode.t_next, 1e-15);
    const auto sde = flow_sde_step(times, i, kNoise);
    EXPECT_NEAR(sde.a_x * (1 - sde.t) - sde.m_y, 1 - sde.t_next, 1e-14);
    const double drift = sde.diffusion * sde.diffusion * sde.dt() / (2 * sde.t);
    EXPECT_NEAR(sde.a_x * sde.t + sde.m_y, sde.t_next - drift, 1e-14);
  }
}

TEST(FlowMatching, SingleShiftIsEvenBeforeTheShift) {
  const FlowMatchSchedule schedule{.shift = 3, .double_shift = false};
  const auto times = schedule.times(20);
  ASSERT_EQ(times.size(), 21u);
  for (size_t i = 0; i < times.size(); ++i) {
    const double u = 1 - static_cast<double>(i) / 20;
    EXPECT_NEAR(times[i], 3 * u / (1 + 2 * u), 1e-15);
  }
  EXPECT_THROW(schedule.to_json(), Error);
}

TEST(FlowMatching, MatchesDiffusersGrids) {
  const TemporaryFolder folder;
  const std::string path = folder / "grids.json";
  run_python("flow_matching_peer.py", path);
  if (HasFailure()) return;
  const auto grids = nlohmann::json::parse(std::ifstream(path));
  ASSERT_EQ(grids.size(), 40u);
  for (const auto& grid : grids) {
    const auto schedule = FlowMatchSchedule::from_json(grid["config"]);
    const auto times = schedule.times(grid["steps"]);
    ASSERT_EQ(times.size(), grid["times"].size());
    for (size_t i = 0; i < times.size(); ++i) {
      // diffusers computes in float32.
      EXPECT_NEAR(times[i], grid["times"][i].get<double>(), 1e-6);
    }
  }
}

TEST(FlowMatching, ConfigRoundTrips) {
  const FlowMatchSchedule schedule{.shift = 2.5, .train_steps = 500};
  const auto again = FlowMatchSchedule::from_json(schedule.to_json());
  EXPECT_EQ(again.shift, 2.5);
  EXPECT_EQ(again.train_steps, 500);
  EXPECT_TRUE(again.double_shift);
}

TEST(FlowMatching, RefusesWhatItCannotReproduce) {
  const auto with = [](const std::string& key, const nlohmann::json& value) {
    auto config = FlowMatchSchedule{}.to_json();
    config[key] = value;
    return [config] { FlowMatchSchedule::from_json(config); };
  };
  for (const std::string key :
       {"use_dynamic_shifting", "use_karras_sigmas", "use_exponential_sigmas",
        "use_beta_sigmas", "invert_sigmas", "stochastic_sampling"}) {
    expect_parts(error_of(with(key, true)), {key, "only false is supported"});
  }
  expect_parts(error_of(with("shift_terminal", 0.1)), {"shift_terminal"});
  expect_parts(error_of(with("_class_name", "DDIMScheduler")),
               {"DDIMScheduler", "FlowMatchEulerDiscreteScheduler"});
  expect_parts(error_of(with("shift", 0)), {"above 0"});
  EXPECT_NO_THROW(with("shift_terminal", nullptr)());
  EXPECT_NO_THROW(with("base_shift", 0.5)());
}

TEST(FlowMatching, RefusesStepsOutsideTheGrid) {
  const auto times = FlowMatchSchedule{}.times(10);
  EXPECT_THROW(flow_sde_step(times, 10, kNoise), Error);
  EXPECT_THROW(flow_sde_step(times, -1, kNoise), Error);
  EXPECT_THROW(flow_sde_step(times, 0, -0.1), Error);
  EXPECT_THROW(flow_sde_step({0.5, 0.6}, 0, kNoise), Error);
  EXPECT_THROW(FlowMatchSchedule{}.times(0), Error);
}

/** Short steps are Flow-SDE's; long ones have all the noise of their time. */
TEST(FlowPreciseStep, IsFlowSdesInTheLimitAndKeepsTheNoiseOfItsTime) {
  constexpr double kLevel = 0.7;
  for (const double t : {0.9, 0.5, 0.1}) {
    const std::vector<double> near = {t, t - 1e-5}, far = {t, t / 3};
    const auto precise = flow_precise_step(near, 0, kLevel);
    const auto sde = flow_sde_step(near, 0, kLevel);
    // Of first order in the step's length.
    EXPECT_NEAR(precise.s / sde.s, 1, 1e-3);
    EXPECT_NEAR(precise.m_y / sde.m_y, 1, 1e-3);
    EXPECT_NEAR((precise.a_x - 1) / (sde.a_x - 1), 1, 1e-3);
    // x = (1 - t) p + t e, v = e - p: the share of e, and s, add up to t'.
    const auto step = flow_precise_step(far, 0, kLevel);
    const double of_noise = step.a_x * t + step.m_y;
    EXPECT_NEAR(step.s * step.s + of_noise * of_noise, t * t / 9, 1e-15);
    EXPECT_NEAR(step.a_x * (1 - t) - step.m_y, 1 - t / 3, 1e-15);
  }
  const auto first = flow_precise_step({1, 0.8}, 0, kLevel);
  EXPECT_NEAR(first.s, 0.8, 1e-15);  // all of it anew
  EXPECT_EQ(flow_precise_step({0.2, 0}, 0, kLevel).s, 0);
}

}  // namespace
}  // namespace rsm
