#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/ddim_path.h"

namespace rsm {
namespace {

using nlohmann::json;

TEST(Ddim, MatchesTheStepsOfDiffusers) {
  const TemporaryFolder folder;
  run_python("ddim_peer.py", folder / "steps.json");
  if (HasFailure()) return;
  const json cases = read_json(folder / "steps.json");
  ASSERT_EQ(cases.size(), 36U);
  for (const auto& found : cases) {
    SCOPED_TRACE(found["config"].dump());
    const auto schedule = DdimSchedule::from_json(found["config"]);
    const DdimPath path(schedule);
    const int64_t n = found["steps"];
    const auto timesteps = schedule.timesteps(n);
    const auto times = path.times(n);
    ASSERT_EQ(found["timesteps"].size(), timesteps.size() - 1);
    for (int64_t i = 0; i < n; ++i) {
      EXPECT_EQ(timesteps[i], found["timesteps"][i].get<int64_t>());
      const auto step =
          path.noisy_step(times, i, {SamplerNoise::usual, found["eta"]});
      const auto& row = found["rows"][i];
      const double next = step.a_x * row["x"].get<double>() +
                          step.m_y * row["y"].get<double>() +
                          step.s * row["eps"].get<double>();
      // diffusers has its schedule in float32.
      EXPECT_NEAR(next, row["next"].get<double>(), 5e-6);
    }
  }
}

/** scheduler/scheduler_config.json of stable-diffusion-v1-5. */
json sd15_json() {
  return {{"_class_name", "PNDMScheduler"},
          {"_diffusers_version", "0.6.0"},
          {"beta_end", 0.012},
          {"beta_schedule", "scaled_linear"},
          {"beta_start", 0.00085},
          {"num_train_timesteps", 1000},
          {"set_alpha_to_one", false},
          {"skip_prk_steps", true},
          {"steps_offset", 1},
          {"trained_betas", nullptr},
          {"clip_sample", false}};
}

TEST(DdimSchedule, IsReadFromStableDiffusion15) {
  const auto schedule = DdimSchedule::from_json(sd15_json());
  EXPECT_EQ(schedule.beta_start, DdimSchedule{}.beta_start);
  EXPECT_EQ(schedule.beta_end, DdimSchedule{}.beta_end);
  EXPECT_EQ(schedule.train_steps, 1000);
  EXPECT_EQ(schedule.steps_offset, 1);
}

TEST(DdimSchedule, ComesBackFromJson) {
  const DdimSchedule schedule = {.beta_start = 0.001,
                                 .beta_end = 0.03,
                                 .train_steps = 400,
                                 .steps_offset = 3};
  const auto again = DdimSchedule::from_json(schedule.to_json());
  EXPECT_EQ(again.to_json(), schedule.to_json());
  EXPECT_EQ(again.train_steps, 400);
  EXPECT_EQ(again.steps_offset, 3);
}

TEST(DdimSchedule, RefusesWhatItCannotReproduce) {
  const auto error = [](const std::string& key, const json& value) {
    auto config = sd15_json();
    config[key] = value;
    const auto text = error_of([&] { DdimSchedule::from_json(config); });
    expect_parts(text, {"[scheduler_config]", key, value.dump()});
    return text;
  };
  error("beta_schedule", "linear");
  error("clip_sample", true);
  error("prediction_type", "v_prediction");
  error("rescale_betas_zero_snr", true);
  error("set_alpha_to_one", true);
  error("thresholding", true);
  error("timestep_spacing", "trailing");
  error("trained_betas", {0.1, 0.2});
  expect_parts(error("steps_offset", 0), {"at least 1"});
  expect_parts(error("num_train_timesteps", 10.5), {"integer"});
  expect_parts(error("beta_start", "0.1"), {"a number"});
  error("beta_start", 0.5);
  error("beta_end", 1.5);
  const auto other = [](const json& change) {
    auto config = sd15_json();
    config.update(change);
    return error_of([&] { DdimSchedule::from_json(config); });
  };
  expect_parts(other({{"_class_name", "EulerDiscreteScheduler"}}),
               {"EulerDiscreteScheduler", "DDIMScheduler", "PNDMScheduler"});
  expect_parts(other({{"beta_star", 1}}), {"did you mean \"beta_start\""});
  EXPECT_THROW(DdimSchedule::from_json(json(3)), Error);
}

TEST(DdimSchedule, AbsentKeysMeanWhatDiffusersTakesThemFor) {
  for (const char* key :
       {"beta_schedule", "clip_sample", "set_alpha_to_one", "steps_offset"}) {
    auto config = sd15_json();
    config.erase(key);
    expect_parts(error_of([&] { DdimSchedule::from_json(config); }), {key});
  }
  auto config = sd15_json();
  for (const char* key : {"beta_start", "beta_end", "num_train_timesteps",
                          "trained_betas", "skip_prk_steps", "_class_name"}) {
    config.erase(key);
  }
  config["_class_name"] = "DDIMScheduler";
  const auto schedule = DdimSchedule::from_json(config);
  EXPECT_EQ(schedule.beta_start, 0.0001);
  EXPECT_EQ(schedule.beta_end, 0.02);
  EXPECT_EQ(schedule.train_steps, 1000);
}

TEST(Ddim, RefusesStepsThatDoNotExist) {
  const DdimSchedule schedule;
  expect_parts(error_of([&] { schedule.timesteps(0); }),
               {"0 steps", "at least 1"});
  expect_parts(error_of([&] { schedule.timesteps(1000); }),
               {"1000 steps", "it is 1000"});
  EXPECT_EQ(schedule.timesteps(999).size(), 1000U);
  const auto alpha_bars = schedule.alpha_bars();
  const auto point = [&](int64_t timestep) {
    return DdimPoint{static_cast<double>(timestep) / 1000,
                     alpha_bars[timestep]};
  };
  EXPECT_THROW(ddim_step(point(901), point(921), {.eta = 1}), Error);
  EXPECT_THROW(ddim_step(point(901), point(901), {.eta = 1}), Error);
  EXPECT_THROW(ddim_step(point(901), {.t = 0, .alpha_bar = 1.01}, {.eta = 1}),
               Error);
  for (const double eta : {-0.1, 1.1, std::nan("")}) {
    expect_parts(
        error_of([&] { ddim_step(point(981), point(961), {.eta = eta}); }),
        {"eta is", "0 to 1"});
  }
  for (const double weight : {-4.5, 0.0, 3.0, std::nan("")}) {
    expect_parts(
        error_of([&] { ddim_step(point(21), point(1), {.weight = weight}); }),
        {"weight", "at least 3.4"});
  }
}

}  // namespace
}  // namespace rsm
