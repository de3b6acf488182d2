// The scorer of shapes-soft by torchscript: and the export of docs/examples,
// beside the reward itself.

#include <gtest/gtest.h>

#include <cmath>

#include "gradient_run_testing.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/testing.h"
#include "rsm/train/testing.h"
#include "rsm/worlds/shapes_soft_reward.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

constexpr const char* kNative = "shapes-soft";

/** Exported once for all tests. */
class ShapesExport : public OnDevice {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    run_python("../../docs/examples/shapes_soft.py",
               cat("'", RSM_SOURCE_DIR, "/", shapes::kScorerFolder, "' '",
                   *folder_ / "soft.pt", "'"));
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string exported() {
    return "torchscript:" + *folder_ / "soft.pt";
  }
  std::unique_ptr<Reward> made(const std::string& name) const {
    static const NoProgress never_stops;
    auto spec = spec_of(name);
    spec.device = GetParam();
    spec.gradient = true;
    return make_any_reward(spec, never_stops);
  }

  static std::unique_ptr<TemporaryFolder> folder_;
};
std::unique_ptr<TemporaryFolder> ShapesExport::folder_;
RSM_ON_EVERY_DEVICE(ShapesExport);

/** A picture for every caption, every other one of the next caption, and all in
 * noise. */
struct CaptionedPictures {
  torch::Tensor images;  ///< [780,3,32,32] in [0,1]
  Prompts prompts = shapes::prompts_of(shapes::Split::all);

  CaptionedPictures() {
    shapes::Engine engine(3);
    std::vector<torch::Tensor> drawn;
    const auto& specs = shapes::all_specs();
    for (size_t i = 0; i < specs.size(); ++i) {
      drawn.push_back(shapes::draw(specs[(i + i % 2) % specs.size()], engine));
    }
    images = (at::stack(drawn) + 1) / 2;
    images.add_(0.1 * test_normal(1, images.sizes())).clamp_(0, 1);
  }
};

TEST_P(ShapesExport, HasTheRewardsScoresAndGradientsOfEveryCaption) {
  at::set_num_threads(1);
  const double tolerance = device().is_cpu() ? 1e-5 : 1e-2;  // of float32
  const CaptionedPictures asked;
  const auto native = made(kNative), through = made(exported());
  through->check();
  const auto judge = [&](const Reward& reward) {
    const auto leaf = asked.images.to(device()).requires_grad_(true);
    const auto value = reward.value_of(leaf, asked.prompts);
    value.sum().backward();
    return std::pair{value.detach(), leaf.grad()};
  };
  const auto [value, gradient] = judge(*native);
  const auto [same_value, same_gradient] = judge(*through);
  EXPECT_LT((value - same_value).abs().max().item<double>(), tolerance);
  EXPECT_LT(relative(same_gradient, gradient), 10 * tolerance);
  EXPECT_GT(value.std().item<double>(), 0.1);
  EXPECT_TRUE(
      through->score(asked.images, asked.prompts)
          .value.allclose(same_value.to(at::kCPU), tolerance, tolerance));
}

/** Two runs logged the same numbers, but for float32's rounding and what an
 * update makes of it: AdamW takes a whole step where a gradient is rounding
 * alone. */
void expect_same_runs(const RunOptions& native, const RunOptions& through) {
  constexpr double kRounding = 1e-4, kUpdated = 1e-2;
  const auto one = run_to_end(native), other = run_to_end(through);
  ASSERT_EQ(one.size(), 3u);
  ASSERT_EQ(other.size(), one.size());
  for (size_t epoch = 0; epoch < one.size(); ++epoch) {
    for (const char* key : {"reward", "reward_std", "gradient_norm",
                            "grad_norm", "eval_reward"}) {
      EXPECT_EQ(one[epoch].contains(key), other[epoch].contains(key)) << key;
      if (!one[epoch].contains(key)) continue;
      const double number = one[epoch].at(key);
      const bool updated = epoch > 1;
      EXPECT_NEAR(other[epoch].at(key).get<double>(), number,
                  (updated ? kUpdated : kRounding) * std::abs(number))
          << key << " of epoch " << epoch;
    }
  }
  EXPECT_GT(one[1].at("grad_norm").get<double>(), 0);
  EXPECT_NE(one.front().at("eval_reward"), one.back().at("eval_reward"));
}

TEST_P(ShapesExport, TrainsAsTheRewardDoesByItsValues) {
  if (!repeats_its_bits()) GTEST_SKIP() << "runs differ from their own twins";
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, const std::string& reward) {
    return quick_run(folder / name,
                     on_device({"reward=" + reward, "train.lr=0.0001"}));
  };
  expect_same_runs(run("native", kNative), run("through", exported()));
}

TEST_P(ShapesExport, TrainsAsTheRewardDoesByItsGradient) {
  if (!repeats_its_bits()) GTEST_SKIP() << "runs differ from their own twins";
  const TemporaryFolder folder;
  const auto run = [&](const std::string& name, const std::string& reward) {
    return gradient_run(folder / name, Family::flow, "{name: adjoint-matching}",
                        on_device({"reward=" + reward, "sampling.size=0",
                                   "train.epochs=2", "train.lr=0.0001"}));
  };
  expect_same_runs(run("native", kNative), run("through", exported()));
}

}  // namespace
}  // namespace rsm
