#include "rsm/rollouts/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/paths/testing.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

RolloutPlan plan_of(const Path& path, const std::string& method) {
  return plan_on(path, find_method(method));
}

TEST(RollOut, EvaluatesWhatThePlanSaysAndNoMore) {
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    GaussianDenoiser denoiser(path);
    int64_t told = 0;
    const auto rollout = roll_out(denoiser, *path, plan, request_for(2, 2),
                                  [&](int64_t done) { told = done; });
    EXPECT_EQ(denoiser.rows, plan.evaluations(2, 2));
    EXPECT_EQ(rollout.evaluations, denoiser.rows);
    EXPECT_EQ(told, denoiser.rows);
    EXPECT_EQ(rollout.rows(), 4 * plan.rows_per_root());
    EXPECT_EQ(rollout.images(), 4 * plan.images_per_root());
    EXPECT_EQ(rollout.latents.size(0), rollout.images());
    EXPECT_EQ(rollout.states(), 4 * plan.states_per_root());
  }
}

TEST(RollOut, RowsLeadFromTheirStateByTheirStep) {
  const auto request = request_for(2, 3);
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    const auto transitions = plan.transitions(*path);
    std::map<std::pair<int64_t, int64_t>, int64_t> drawn;  // by root and step
    for (int64_t r = 0; r < rollout.rows(); ++r) {
      const int64_t s = rollout.row_state[r];
      const int64_t step = rollout.state_step[s];
      const int64_t root = rollout.state_root[s];
      const auto eps = step_noise(transitions[step], rollout.x[s], rollout.y[s],
                                  rollout.x_next[r]);
      const auto counted =
          counted_step_noise(request, rollout.state_prompt[s], root % 3, step,
                             drawn[{root, step}]++);
      // Rounding of x_next, about 1e-7, over the least s, about 0.04.
      EXPECT_TRUE(at::allclose(eps, counted, 0, 1e-3)) << "row " << r;
    }
  }
}

TEST(RollOut, RowsLeadToPicturesOfTheirPrompt) {
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(2, 2));
    std::set<int64_t> reached;
    for (int64_t r = 0; r < rollout.rows(); ++r) {
      const int64_t count =
          rollout.row_images.empty() ? 1 : rollout.row_images[r];
      for (int64_t k = 0; k < count; ++k) {
        const int64_t image = rollout.row_image[r] + k;
        ASSERT_LT(image, rollout.images());
        EXPECT_EQ(rollout.image_prompt[image],
                  rollout.state_prompt[rollout.row_state[r]]);
        reached.insert(image);
      }
    }
    // Judged steps also have the picture of where a path begins.
    const int64_t beginnings = plan.estimator.judges_every_step() ? 4 : 0;
    EXPECT_EQ(static_cast<int64_t>(reached.size()),
              rollout.images() - beginnings);
  }
}

TEST(RollOut, StatesStandByRootAndStepRowsByState) {
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(3, 2));
    for (int64_t s = 1; s < rollout.states(); ++s) {
      const std::pair before(rollout.state_root[s - 1],
                             rollout.state_step[s - 1]);
      const std::pair here(rollout.state_root[s], rollout.state_step[s]);
      EXPECT_LE(before, here);
      EXPECT_TRUE(before < here || plan.nodes_at(here.second) > 1);
    }
    EXPECT_TRUE(
        std::is_sorted(rollout.row_state.begin(), rollout.row_state.end()));
    EXPECT_TRUE(std::is_sorted(rollout.image_prompt.begin(),
                               rollout.image_prompt.end()));
  }
}

TEST(RollOut, PromptsDoNotDependOnTheirNeighbours) {
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto all = roll_out_with_gaussian(path, plan, request_for(3, 2));
    const auto alone =
        roll_out_with_gaussian(path, plan, entries_of(request_for(3, 2), {1}));
    expect_equal(root_of(all, 2), root_of(alone, 0));
    expect_equal(root_of(all, 3), root_of(alone, 1));
  }
}

TEST(RollOut, PermutedPromptsAndMembersPermuteTheResult) {
  const std::vector<int64_t> order = {2, 0, 1};
  auto swapped = entries_of(request_for(1, 1), {0, 0});
  swapped.first_member = {1, 0};
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto a = roll_out_with_gaussian(path, plan, request_for(3, 2));
    const auto b = roll_out_with_gaussian(path, plan,
                                          entries_of(request_for(3, 2), order));
    for (int64_t root = 0; root < 6; ++root) {
      expect_equal(root_of(a, order[root / 2] * 2 + root % 2),
                   root_of(b, root));
    }
    const auto c = roll_out_with_gaussian(path, plan, swapped);
    expect_equal(root_of(a, 0), root_of(c, 1));
    expect_equal(root_of(a, 1), root_of(c, 0));
  }
}

TEST(RollOut, RepeatedPromptsGetFurtherMembers) {
  for (const auto& path : both_paths()) {
    const auto plan = plan_of(*path, "flow-grpo");
    const auto a = roll_out_with_gaussian(
        path, plan, entries_of(request_for(1, 1), {0, 0}));
    const auto b = roll_out_with_gaussian(path, plan, request_for(1, 2));
    EXPECT_TRUE(at::equal(a.latents, b.latents));
    EXPECT_FALSE(at::equal(a.latents[0], a.latents[1]));
  }
}

TEST(RollOut, SharedStartsDifferInTheNoiseOfTheirStepsOnly) {
  for (const auto& path : both_paths()) {
    for (const char* method : {"flow-grpo", "rsm-flow"}) {
      SCOPED_TRACE(cat(method, " on ", name_of(*path)));
      auto plan = plan_of(*path, method);
      const auto apart = roll_out_with_gaussian(path, plan, request_for(2, 2));
      plan.estimator.shared_start = true;
      const auto shared = roll_out_with_gaussian(path, plan, request_for(2, 2));
      const auto first = [&](const Rollout& rollout, int64_t root) {
        return root_of(rollout, root).x[0];
      };
      EXPECT_TRUE(at::equal(first(shared, 0), first(apart, 0)));
      EXPECT_TRUE(at::equal(first(shared, 0), first(shared, 1)));
      EXPECT_FALSE(at::equal(first(apart, 0), first(apart, 1)));
      EXPECT_TRUE(at::equal(first(shared, 2), first(shared, 3)));
      EXPECT_FALSE(at::equal(first(shared, 0), first(shared, 2)));
      EXPECT_FALSE(at::equal(root_of(shared, 0).x_next[0],
                             root_of(shared, 1).x_next[0]));
      // Member 0 is the one that would have started there anyway.
      expect_equal(root_of(shared, 0), root_of(apart, 0));
    }
  }
}

TEST(RollOut, EpochAndSeedChangeTheNoise) {
  const auto path = flow_path();
  const auto draw = [&](uint64_t seed, int64_t epoch) {
    auto request = request_for(1, 1);
    request.run_seed = seed;
    request.epoch = epoch;
    return roll_out_with_gaussian(path, plan_of(*path, "flow-grpo"), request)
        .latents;
  };
  EXPECT_TRUE(at::equal(draw(1, 1), draw(1, 1)));
  EXPECT_FALSE(at::equal(draw(1, 1), draw(1, 2)));
  EXPECT_FALSE(at::equal(draw(1, 1), draw(2, 1)));
}

TEST(SampleOde, ReachesTheGaussianItsOutputBelongsTo) {
  const int64_t samples = 4096;
  const auto noise = counted_normal(5, {samples, 2, 3, 3});
  const Condition conditions{at::zeros({samples, 1, 1}),
                             at::full({samples, 1}, 0.3)};
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    GaussianDenoiser denoiser(path);
    const auto times = path->times(200);
    const auto x = sample_ode(denoiser, *path, times, noise, conditions);
    // 74 k numbers: standard error of mean and std about 0.002. 200 steps of
    // first order are off by 0.007; a diffusion's first state lacks what is
    // left of the picture there, 0.01 of the mean.
    EXPECT_NEAR(x.mean().item<double>(), 0.3, 0.02);
    EXPECT_NEAR(x.std().item<double>(), kStd, 0.015);
    // Sample by sample: the solver's bias times up to 5 sigma.
    EXPECT_TRUE(
        at::allclose(x, exact_picture(*path, noise, times[0], 0.3), 0, 0.05));
  }
}

TEST(SampleOde, ShowsEveryStateWithItsOutputBeforeItsStep) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    GaussianDenoiser denoiser(path);
    const auto request = request_for(2, 1);
    const auto times = path->times(4);
    auto x = counted_normal(6, {2, 2, 3, 3});
    int64_t steps = 0;
    const auto end = sample_ode(
        denoiser, *path, times, x, request.conditions,
        [&](int64_t i, const torch::Tensor& seen, const torch::Tensor& y) {
          EXPECT_EQ(i, steps++);
          EXPECT_TRUE(at::equal(seen, x));
          x = step(path->ode_step(times, i), x, y, {});
        });
    EXPECT_EQ(steps, 4);
    EXPECT_TRUE(at::equal(end, x));
  }
}

TEST(RollOut, StochasticPathsReachTheSameGaussian) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = plan_of(*path, "flow-grpo");
    plan.steps = 200;
    const auto rollout =
        roll_out_with_gaussian(path, plan, request_for(1, 1024));
    // 18 k numbers: standard errors up to 0.004; the variance that 200 steps
    // lose takes 0.003 (flow) and 0.015 (diffusion) off the std.
    EXPECT_NEAR(rollout.latents.mean().item<double>(), 0.0, 0.02);
    EXPECT_NEAR(rollout.latents.std().item<double>(), kStd, 0.03);
  }
}

TEST(RollOut, RefusesWhatDoesNotFit) {
  const auto path = flow_path();
  const auto draw = [&](const RolloutRequest& request) {
    return roll_out_with_gaussian(path, plan_of(*path, "rsm-flow"), request);
  };
  EXPECT_THROW(draw(request_for(1, 0)), Error);
  EXPECT_THROW(draw(request_for(0, 1)), Error);
  auto request = request_for(2, 1);
  request.first_member = {0};
  EXPECT_THROW(draw(request), Error);
  request.first_member = {0, -1};
  EXPECT_THROW(draw(request), Error);
  request.first_member = {3, 0};
  EXPECT_NO_THROW(draw(request));
}

/** Five entries, two of them of one prompt. */
RolloutRequest five_entries() {
  return entries_of(request_for(4, 2), {0, 1, 2, 1, 3});
}

TEST(Draw, PartsAreTheWhole) {
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto request = five_entries();
    const auto whole = roll_out_with_gaussian(path, plan, request);
    for (const auto& sizes : std::vector<std::vector<int64_t>>{
             {2, 3}, {3, 1, 1}, {1, 1, 1, 1, 1}}) {
      GaussianDenoiser denoiser(path);
      auto parts = make_room(*path, plan, request);
      int64_t first = 0;
      for (const int64_t count : sizes) {
        draw(denoiser, *path, plan, request, {first, count}, parts);
        first += count;
      }
      expect_equal(parts, whole);
    }
  }
}

TEST(Draw, RefusesPromptsThatAreNotThere) {
  const auto path = flow_path();
  const auto plan = plan_on(*path, find_method("rsm-flow"));
  GaussianDenoiser denoiser(path);
  auto room = make_room(*path, plan, five_entries());
  for (const PromptRange part : {PromptRange{3, 3}, {-1, 2}, {0, 0}}) {
    EXPECT_THROW(draw(denoiser, *path, plan, five_entries(), part, room),
                 Error);
  }
}

TEST(RolloutRequest, NumbersTheMembersOfAPromptAskedForTwice) {
  EXPECT_EQ(five_entries().first_members(),
            (std::vector<int64_t>{0, 0, 0, 2, 0}));
  // Members 2 and 3 of a prompt are those of a whole of four.
  const auto path = flow_path();
  const auto plan = plan_on(*path, find_method("rsm-flow"));
  auto later = request_for(1, 2);
  later.first_member = {2};
  const auto second = roll_out_with_gaussian(path, plan, later);
  const auto whole = roll_out_with_gaussian(path, plan, request_for(1, 4));
  const int64_t half = whole.images() / 2;
  EXPECT_TRUE(at::equal(second.latents, whole.latents.slice(0, half)));
}

TEST(RollOut, BeginsWhereItIsToldTo) {
  auto request = request_for(2, 3);
  request.start = counted_normal(1, {2, 2, 3, 3});
  for (const auto& [name, path, plan] : planned_catalogue()) {
    SCOPED_TRACE(name);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    for (int64_t s = 0; s < rollout.states(); ++s) {
      const bool begins = rollout.state_step[s] == 0;
      EXPECT_EQ(begins, at::equal(rollout.x[s],
                                  request.start[rollout.state_prompt[s]]));
    }
  }
}

TEST(RollOut, ToldItsOwnNoiseItDrawsTheSame) {
  const auto path = flow_path();
  auto request = request_for(2, 1);
  const auto plan = plan_of(*path, "flow-grpo");
  const auto before = roll_out_with_gaussian(path, plan, request);
  std::vector<torch::Tensor> noise;
  for (const auto& prompt : request.prompts) {
    noise.push_back(initial_noise(request.run_seed, Purpose::initial_noise,
                                  request.epoch, prompt, 0, kShape));
  }
  request.start = at::cat(noise);
  const auto after = roll_out_with_gaussian(path, plan, request);
  EXPECT_TRUE(at::equal(before.x, after.x));
  EXPECT_TRUE(at::equal(before.latents, after.latents));
}

TEST(RollOut, RefusesStatesThatAreNotOneAnEntry) {
  const auto path = flow_path();
  auto request = request_for(2, 3);
  for (const auto& start : {at::zeros({6, 2, 3, 3}), at::zeros({2, 2, 3, 4}),
                            at::zeros({2, 2, 3, 3}, at::kDouble)}) {
    request.start = start;
    expect_parts(error_of([&] {
                   roll_out_with_gaussian(path, plan_of(*path, "flow-grpo"),
                                          request);
                 }),
                 {"to begin at", "[2, 2, 3, 3] float32"});
  }
}

}  // namespace
}  // namespace rsm
