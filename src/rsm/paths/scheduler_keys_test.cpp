#include "rsm/paths/scheduler_keys.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/testing.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"

namespace rsm {
namespace {

using nlohmann::json;
using Texts = std::vector<std::string>;

TEST(SchedulerKeys, ThatDiffusersPassesOverArePassedOver) {
  const TemporaryFolder folder;
  run_python("scheduler_keys_peer.py", folder / "keys.json");
  if (HasFailure()) return;
  const json keys = read_json(folder / "keys.json");
  ASSERT_EQ(keys.size(), 2U);
  for (const json& plain : {DdimPath().to_json(), FlowPath().to_json()}) {
    const json& of_class = keys.at(plain["_class_name"]);
    ASSERT_GT(of_class["passed_over"].size(), 10U);
    for (const std::string key : of_class["passed_over"]) {
      // Stable Diffusion's own DDIM configs have it: nothing to tell.
      if (key == "skip_prk_steps") continue;
      auto config = plain;
      config[key] = "anything";
      const auto path = Path::from_json(config);
      EXPECT_EQ(path->to_json(), Path::from_json(plain)->to_json());
      EXPECT_EQ(Path::leftovers(config), Texts{key});
    }
    // What the class reads is never passed over: read, or refused.
    for (const std::string key : of_class["own"]) {
      auto config = plain;
      config[key] = "anything";
      EXPECT_EQ(Path::leftovers(config), Texts{}) << key;
    }
    EXPECT_EQ(Path::leftovers(plain), Texts{});
  }
}

// prediction_type was called so before diffusers 0.9.
TEST(SchedulerKeys, OfDiffusersOf2022MayOnlySayThatNoiseIsPredicted) {
  auto config = DdimPath().to_json();
  config["predict_epsilon"] = true;
  EXPECT_EQ(Path::from_json(config)->to_json(), DdimPath().to_json());
  EXPECT_EQ(Path::leftovers(config), Texts{});
  config["predict_epsilon"] = false;
  expect_parts(error_of([&] { Path::from_json(config); }),
               {"predict_epsilon is false", "only true"});
}

TEST(SchedulerKeys, ThatNoSchedulerHasAreSlips) {
  for (json config : {DdimPath().to_json(), FlowPath().to_json()}) {
    config["num_train_timestep"] = 1000;
    expect_parts(error_of([&] { Path::from_json(config); }),
                 {"[scheduler_config]", "num_train_timestep\"",
                  "did you mean \"num_train_timesteps\""});
  }
}

TEST(SchedulerKeys, OfAFileThatPythonWroteMayBeInfinite) {
  const TemporaryFolder folder;
  std::string text = DdimPath().to_json().dump();
  text.insert(1, "\"lambda_min_clipped\": -Infinity, \"solver_p\": NaN, ");
  write_file_atomic(folder / "scheduler_config.json", text);
  const json config = read_python_json(folder / "scheduler_config.json");
  EXPECT_EQ(Path::leftovers(config), (Texts{"lambda_min_clipped", "solver_p"}));
  json other = config;
  other["beta_end"] = "NaN";  // as it is read from a file
  expect_parts(error_of([&] { Path::from_json(other); }),
               {"beta_end is \"NaN\"", "a number above 0"});
}

}  // namespace
}  // namespace rsm
