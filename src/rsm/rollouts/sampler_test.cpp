#include "rsm/rollouts/sampler.h"

#include <gtest/gtest.h>

#include <set>

#include "rsm/base/error.h"
#include "rsm/methods/catalogue.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

const std::vector<int64_t> kShape = {2, 3, 3};

/** The exact velocity of data N(mean, std^2 I), which depends on the prompt:
 * v = E[noise - picture | x_t]. Counts its work. */
class GaussianFlow : public Denoiser {
 public:
  torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                        const Condition& condition) override {
    rows += x.size(0);
    const auto mean = condition.pooled.view({-1, 1, 1, 1});
    const auto time = t.view({-1, 1, 1, 1});
    const auto a = 1 - time;
    const auto variance = a * a * kStd * kStd + time * time;
    const auto centred = x - a * mean;
    const auto picture = mean + a * kStd * kStd / variance * centred;
    const auto noise = time / variance * centred;
    return noise - picture;
  }
  static constexpr double kStd = 0.5;
  int64_t rows = 0;
};

RolloutRequest request_for(int64_t prompts, int64_t members) {
  RolloutRequest request;
  std::vector<float> means;
  for (int64_t p = 0; p < prompts; ++p) {
    request.prompts.push_back({10 + p, "prompt", ""});
    means.push_back(0.1f * static_cast<float>(p));
  }
  request.conditions.tokens = at::zeros({prompts, 1, 1});
  request.conditions.pooled = torch::tensor(means).view({prompts, 1});
  request.members = members;
  request.run_seed = 7;
  request.epoch = 3;
  request.latent_shape = kShape;
  return request;
}

std::vector<double> ten_steps() { return FlowMatchSchedule{}.times(10); }

RolloutPlan plan_of(const std::string& method) {
  return make_plan(find_method(method), 10, 0.7);
}

TEST(RollOut, EvaluatesWhatThePlanSaysAndNoMore) {
  for (const auto& method : catalogue()) {
    GaussianFlow flow;
    const auto plan = make_plan(method, 10, 0.7);
    const auto rollout =
        roll_out(flow, FlowMatchSchedule{}, plan, request_for(2, 2));
    EXPECT_EQ(flow.rows, 4 * plan.evaluations_per_root()) << method.name;
    EXPECT_EQ(rollout.evaluations, flow.rows) << method.name;
    EXPECT_EQ(rollout.rows(), 4 * plan.rows_per_root()) << method.name;
    EXPECT_EQ(rollout.images(), 4 * plan.images_per_root()) << method.name;
    EXPECT_EQ(rollout.states(), 4 * plan.states_per_root()) << method.name;
  }
}

TEST(RollOut, RowsLeadFromTheirStateByTheirStep) {
  for (const auto& method : catalogue()) {
    GaussianFlow flow;
    const auto rollout =
        roll_out(flow, FlowMatchSchedule{}, make_plan(method, 10, 0.7),
                 request_for(2, 3));
    for (int64_t r = 0; r < rollout.rows(); ++r) {
      const int64_t s = rollout.row_state[r];
      const auto& transition = rollout.transitions[rollout.state_step[s]];
      const auto eps =
          step_noise(transition, rollout.x[s], rollout.y[s], rollout.x_next[r]);
      // 18 standard normal numbers; 5.5 sigma of a single one.
      EXPECT_LT(eps.abs().max().item<double>(), 5.5);
      EXPECT_GT(eps.std().item<double>(), 0.3);
      EXPECT_EQ(rollout.image_prompt[rollout.row_image[r]],
                rollout.state_prompt[s]);
    }
  }
}

TEST(RollOut, StatesStandByRootAndStepRowsByState) {
  GaussianFlow flow;
  const auto rollout = roll_out(flow, FlowMatchSchedule{}, plan_of("rsm-flow"),
                                request_for(3, 2));
  for (int64_t s = 1; s < rollout.states(); ++s) {
    EXPECT_LT(std::pair(rollout.state_root[s - 1], rollout.state_step[s - 1]),
              std::pair(rollout.state_root[s], rollout.state_step[s]));
  }
  EXPECT_TRUE(
      std::is_sorted(rollout.row_state.begin(), rollout.row_state.end()));
  const std::set<int64_t> images(rollout.row_image.begin(),
                                 rollout.row_image.end());
  EXPECT_EQ(static_cast<int64_t>(images.size()), rollout.images());
}

TEST(RollOut, BranchesContinueAsTheOdeFromWhereTheyLed) {
  GaussianFlow flow;
  const auto times = ten_steps();
  const auto request = request_for(2, 1);
  const auto rollout =
      roll_out(flow, FlowMatchSchedule{}, plan_of("tempflow-grpo"), request);
  for (int64_t r = 0; r < rollout.rows(); r += 7) {
    const int64_t s = rollout.row_state[r];
    auto x = rollout.x_next.slice(0, r, r + 1);
    const auto prompt = torch::tensor({rollout.state_prompt[s]});
    for (int64_t i = rollout.state_step[s] + 1; i < 10; ++i) {
      const auto y = flow.predict(x, at::full({1}, times[i]),
                                  request.conditions.select(prompt));
      x = step(flow_ode_step(times, i), x, y, {});
    }
    EXPECT_TRUE(
        at::allclose(x[0], rollout.latents[rollout.row_image[r]], 1e-5, 1e-6));
  }
}

TEST(RollOut, CheapContinuationsCostWhatThePlanSaysAndLeadToTheSamePlace) {
  GaussianFlow flow;
  auto plan = plan_of("tempflow-grpo");
  const auto usual =
      roll_out(flow, FlowMatchSchedule{}, plan, request_for(2, 2));
  const auto error_of_steps = [&](int64_t steps) {
    plan.continuation_steps = steps;
    flow.rows = 0;
    const auto cheap =
        roll_out(flow, FlowMatchSchedule{}, plan, request_for(2, 2));
    EXPECT_EQ(flow.rows, 4 * plan.evaluations_per_root());
    EXPECT_TRUE(at::equal(cheap.x_next, usual.x_next));
    // What a very fine Euler continuation of the earliest branches reaches.
    auto x = cheap.x_next.slice(0, 0, 6);
    const auto fine = FlowMatchSchedule{}.times_from(ten_steps()[1], 2000);
    const Condition condition{at::zeros({6, 1, 1}), at::zeros({6, 1})};
    for (size_t k = 0; k + 1 < fine.size(); ++k) {
      const auto y = flow.predict(x, at::full({6}, fine[k]), condition);
      x = x - (fine[k] - fine[k + 1]) * y;
    }
    double error = 0;
    for (int64_t r = 0; r < 6; ++r) {
      error += (cheap.latents[cheap.row_image[r]] - x[r])
                   .square()
                   .mean()
                   .item<double>();
    }
    return std::sqrt(error / 6);
  };
  const double four = error_of_steps(4), eight = error_of_steps(8);
  // Second order: half the step, a quarter of the error; the first step is of
  // first order. A bias would not shrink.
  EXPECT_LT(eight, four / 2.5);
}

TEST(RollOut, UnsharedStatesLeadToTheSamePicturesForMoreWork) {
  for (const bool anchors : {false, true}) {
    const auto sharing = anchors ? Sharing::none : Sharing::sampling;
    auto method = find_method("tempflow-grpo");
    method.estimator.branches = {3, 0, 2, 0, 0, 1, 0, 0, 0};
    method.estimator.grouping = EstimatorKnobs::Grouping::prompt;
    method.regularisation.anchors = anchors;
    GaussianFlow flow, apart_flow;
    const auto plan = make_plan(method, 10, 0.7);
    const auto apart_plan = make_plan(method, 10, 0.7, 0, sharing);
    const auto shared =
        roll_out(flow, FlowMatchSchedule{}, plan, request_for(2, 2));
    const auto apart = roll_out(apart_flow, FlowMatchSchedule{}, apart_plan,
                                request_for(2, 2));
    EXPECT_TRUE(at::equal(shared.latents, apart.latents));
    EXPECT_EQ(apart_flow.rows, 4 * apart_plan.evaluations_per_root());
    EXPECT_EQ(apart_flow.rows - flow.rows,
              sharing == Sharing::none ? 4 * plan.rows_per_root() : 0);
    ASSERT_EQ(apart.states(), 4 * apart_plan.states_per_root());
    ASSERT_EQ(apart.rows(), shared.rows());
    for (int64_t r = 0; r < shared.rows(); ++r) {
      const int64_t s = shared.row_state[r], a = apart.row_state[r];
      EXPECT_EQ(shared.state_step[s], apart.state_step[a]);
      EXPECT_EQ(shared.state_root[s], apart.state_root[a]);
      EXPECT_EQ(shared.row_image[r], apart.row_image[r]);
      EXPECT_TRUE(at::equal(shared.x[s], apart.x[a]));
      EXPECT_TRUE(at::equal(shared.x_next[r], apart.x_next[r]));
      // Each row has a state of its own.
      EXPECT_TRUE(r == 0 || apart.row_state[r] > apart.row_state[r - 1]);
    }
  }
}

TEST(RollOut, PromptsDoNotDependOnTheirNeighbours) {
  GaussianFlow flow;
  const auto all = roll_out(flow, FlowMatchSchedule{}, plan_of("rsm-flow"),
                            request_for(3, 2));
  auto alone = request_for(3, 2);
  alone.prompts = {alone.prompts[1]};
  alone.conditions = alone.conditions.select(torch::tensor({int64_t{1}}));
  const auto one =
      roll_out(flow, FlowMatchSchedule{}, plan_of("rsm-flow"), alone);
  const int64_t states = one.states();
  EXPECT_TRUE(at::equal(one.x, all.x.slice(0, states, 2 * states)));
  EXPECT_TRUE(
      at::equal(one.x_next, all.x_next.slice(0, one.rows(), 2 * one.rows())));
}

TEST(RollOut, RepeatedPromptsGetFurtherMembers) {
  GaussianFlow flow;
  auto twice = request_for(1, 1);
  twice.prompts.push_back(twice.prompts[0]);
  twice.conditions = twice.conditions.select(torch::tensor({0, 0}));
  const auto a =
      roll_out(flow, FlowMatchSchedule{}, plan_of("flow-grpo"), twice);
  const auto b = roll_out(flow, FlowMatchSchedule{}, plan_of("flow-grpo"),
                          request_for(1, 2));
  EXPECT_TRUE(at::equal(a.latents, b.latents));
  EXPECT_FALSE(at::equal(a.latents[0], a.latents[1]));
}

TEST(RollOut, EpochAndSeedChangeTheNoise) {
  GaussianFlow flow;
  const auto draw = [&](uint64_t seed, int64_t epoch) {
    auto request = request_for(1, 1);
    request.run_seed = seed;
    request.epoch = epoch;
    return roll_out(flow, FlowMatchSchedule{}, plan_of("flow-grpo"), request)
        .latents;
  };
  EXPECT_TRUE(at::equal(draw(1, 1), draw(1, 1)));
  EXPECT_FALSE(at::equal(draw(1, 1), draw(1, 2)));
  EXPECT_FALSE(at::equal(draw(1, 1), draw(2, 1)));
}

TEST(SampleOde, ReachesTheGaussianItsVelocityBelongsTo) {
  GaussianFlow flow;
  const int64_t samples = 4096;
  auto request = request_for(1, samples);
  const auto noise = counted_normal(5, {samples, 2, 3, 3});
  Condition conditions{at::zeros({samples, 1, 1}), at::full({samples, 1}, 0.3)};
  const auto x =
      sample_ode(flow, FlowMatchSchedule{}.times(200), noise, conditions);
  // 74 k numbers: standard error of mean and std about 0.002; Euler's bias at
  // 200 steps is below 0.01.
  EXPECT_NEAR(x.mean().item<double>(), 0.3, 0.01);
  EXPECT_NEAR(x.std().item<double>(), GaussianFlow::kStd, 0.015);
}

TEST(RollOut, StochasticPathsReachTheSameGaussian) {
  GaussianFlow flow;
  auto plan = plan_of("flow-grpo");
  plan.steps = 200;
  plan.noise_level = 0.7;
  const auto rollout =
      roll_out(flow, FlowMatchSchedule{}, plan, request_for(1, 1024));
  // 18 k numbers: standard error about 0.004, and the bias of 200 steps.
  EXPECT_NEAR(rollout.latents.mean().item<double>(), 0.0, 0.02);
  EXPECT_NEAR(rollout.latents.std().item<double>(), GaussianFlow::kStd, 0.03);
}

TEST(RollOut, RefusesWhatDoesNotFit) {
  GaussianFlow flow;
  EXPECT_THROW(roll_out(flow, FlowMatchSchedule{}, plan_of("rsm-flow"),
                        request_for(1, 0)),
               Error);
  EXPECT_THROW(roll_out(flow, FlowMatchSchedule{}, plan_of("rsm-flow"),
                        request_for(0, 1)),
               Error);
}

}  // namespace
}  // namespace rsm
