// Evaluations under text guidance of their own.

#include <gtest/gtest.h>

#include <cmath>

#include "gradient_run_testing.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

class EvaluationGuidanceOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(EvaluationGuidanceOn);

/** With a rollout copy of its own, and where that is the training copy. */
TEST_P(EvaluationGuidanceOn, JudgesRunsAlikeAndTrainsNothing) {
  for (const std::string copies :
       {"train.weights=lora", "compute.rollout_type=float32"}) {
    SCOPED_TRACE(copies);
    const TemporaryFolder folder;
    const auto run = [&](const std::string& name,
                         std::vector<std::string> scales) {
      scales.insert(scales.end(), {"train.epochs=1", copies});
      return run_to_end(gradient_run(folder / name, Family::flow, "{name: rwr}",
                                     on_device(scales)));
    };
    const auto plain = run("plain", {});
    const auto own = run("own", {"evaluation.guidance_scale=3"});
    const auto guided =
        run("guided", {"sampling.guidance_scale=3", "train.guidance_scale=1"});
    // Of the model as it is: the same pictures as where sampling is guided.
    const auto judged = own.front().at("eval_reward").get<double>();
    const double exact = repeats_its_bits() ? 0 : 1e-3;
    EXPECT_NEAR(judged, guided.front().at("eval_reward").get<double>(), exact);
    EXPECT_GT(std::abs(judged - plain.front().at("eval_reward").get<double>()),
              1e-3);
    // Of what was trained, which is the same.
    expect_same_weights(folder / "own", folder / "plain", repeats_its_bits());
    EXPECT_NEAR(own.back().at("eval").at("kl").get<double>(),
                plain.back().at("eval").at("kl").get<double>(), exact);
    EXPECT_NE(own.back().at("eval_reward"), plain.back().at("eval_reward"));
  }
}

}  // namespace
}  // namespace rsm
