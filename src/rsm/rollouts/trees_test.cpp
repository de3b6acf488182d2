#include "rsm/rollouts/trees.h"

#include <gtest/gtest.h>

#include "rsm/paths/testing.h"
#include "rsm/rollouts/comparison_testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

TEST(Trees, OfTwoLevelsByHand) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan = tree_plan(*path, 3, {0, 1}, 2);
    const auto request = request_for(1, 1);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    EXPECT_EQ(rollout.state_step, (std::vector<int64_t>{0, 1, 1}));
    EXPECT_EQ(rollout.row_state, (std::vector<int64_t>{0, 0, 1, 1, 2, 2}));
    EXPECT_EQ(rollout.row_image, (std::vector<int64_t>{0, 2, 0, 1, 2, 3}));
    EXPECT_EQ(rollout.row_images, (std::vector<int64_t>{2, 2, 1, 1, 1, 1}));
    EXPECT_EQ(rollout.evaluations, 1 + 2 + 4);

    GaussianDenoiser denoiser(path);
    const auto times = path->times(3);
    const auto output = [&](const torch::Tensor& x, int64_t i) {
      return denoiser.predict(x, at::full({1}, times[i], at::kFloat),
                              request.conditions);
    };
    const auto child = [&](const torch::Tensor& x, int64_t i, int64_t branch) {
      return step(path->noisy_step(times, i, plan.noise), x, output(x, i),
                  counted_step_noise(request, 0, 0, i, branch).unsqueeze(0));
    };
    const auto root = initial_noise(7, Purpose::initial_noise, 3,
                                    request.prompts[0], 0, kShape);
    EXPECT_TRUE(at::equal(rollout.x[0], root[0]));
    for (int64_t leaf = 0; leaf < 4; ++leaf) {
      const auto node = child(root, 0, leaf / 2);
      EXPECT_TRUE(at::equal(rollout.x_next[leaf / 2], node[0]));
      EXPECT_TRUE(at::equal(rollout.x[1 + leaf / 2], node[0]));
      const auto last = child(node, 1, leaf);
      EXPECT_TRUE(at::equal(rollout.x_next[2 + leaf], last[0]));
      const auto picture =
          step(path->ode_step(times, 2), last, output(last, 2), {});
      EXPECT_TRUE(at::equal(rollout.latents[leaf], picture[0]));
    }
  }
}

TEST(Trees, TakeTheOdeStepWhereNoNoiseIsDrawn) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = tree_plan(*path, 5, {1}, 2);
    plan.estimator.tree.sde_steps = {3};
    const auto request = request_for(1, 1);
    const auto rollout = roll_out_with_gaussian(path, plan, request);
    EXPECT_EQ(rollout.state_step, (std::vector<int64_t>{1, 3, 3}));
    EXPECT_EQ(rollout.row_image, (std::vector<int64_t>{0, 1, 0, 1}));
    EXPECT_EQ(rollout.evaluations, plan.evaluations_per_root());

    GaussianDenoiser denoiser(path);
    const auto times = path->times(5);
    const auto ode = [&](const torch::Tensor& x, int64_t i) {
      return step(path->ode_step(times, i), x,
                  denoiser.predict(x, at::full({1}, times[i], at::kFloat),
                                   request.conditions),
                  {});
    };
    const auto root = initial_noise(7, Purpose::initial_noise, 3,
                                    request.prompts[0], 0, kShape);
    EXPECT_TRUE(at::equal(rollout.x[0], ode(root, 0)[0]));
    for (int64_t leaf = 0; leaf < 2; ++leaf) {
      const auto child = rollout.x_next[leaf].unsqueeze(0);
      EXPECT_TRUE(at::equal(rollout.x[1 + leaf], ode(child, 2)[0]));
      const auto last = rollout.x_next[2 + leaf].unsqueeze(0);
      EXPECT_TRUE(at::equal(rollout.latents[leaf], ode(last, 4)[0]));
    }
  }
}

/** Rows drawn from the state that row r of a one-root tree led to. */
std::vector<int64_t> rows_after(const Rollout& rollout, int64_t r) {
  const int64_t step = rollout.state_step[rollout.row_state[r]];
  std::vector<int64_t> rows;
  for (int64_t next = 0; next < rollout.rows(); ++next) {
    const int64_t s = rollout.row_state[next];
    if (rollout.state_step[s] == step + 1 &&
        at::equal(rollout.x[s], rollout.x_next[r])) {
      rows.push_back(next);
    }
  }
  return rows;
}

TEST(Trees, LeavesOfANodeAreThoseOfItsChildrenAndStandTogether) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    const auto plan = tree_plan(*path, 8, {0, 2, 5}, 3);
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(1, 1));
    int64_t last_rows = 0;
    for (int64_t r = 0; r < rollout.rows(); ++r) {
      const int64_t step = rollout.state_step[rollout.row_state[r]];
      if (step == 6) {
        EXPECT_EQ(rollout.row_image[r], last_rows++);
        EXPECT_EQ(rollout.row_images[r], 1);
        continue;
      }
      const auto rows = rows_after(rollout, r);
      ASSERT_EQ(static_cast<int64_t>(rows.size()), plan.branches_at(step + 1));
      int64_t leaf = rollout.row_image[r];
      for (const int64_t next : rows) {
        EXPECT_EQ(rollout.row_image[next], leaf);
        leaf += rollout.row_images[next];
      }
      EXPECT_EQ(leaf, rollout.row_image[r] + rollout.row_images[r]);
    }
    EXPECT_EQ(last_rows, 27);
    EXPECT_EQ(last_rows, rollout.images());
  }
}

TEST(Trees, WithoutSplitsArePaths) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = tree_plan(*path, 6, {}, 2);
    auto tree = roll_out_with_gaussian(path, plan, request_for(2, 2));
    plan.estimator.source = EstimatorKnobs::Source::rollout;
    const auto paths = roll_out_with_gaussian(path, plan, request_for(2, 2));
    EXPECT_EQ(tree.row_images, std::vector<int64_t>(paths.rows(), 1));
    EXPECT_TRUE(paths.row_images.empty());
    tree.row_images.clear();
    expect_equal(tree, paths);
  }
}

TEST(Trees, EveryLeafIsAPictureOfItsOwn) {
  const auto path = flow_path();
  const auto rollout = roll_out_with_gaussian(
      path, tree_plan(*path, 6, {0, 2}, 2), request_for(1, 2));
  for (int64_t a = 0; a < rollout.images(); ++a) {
    for (int64_t b = 0; b < a; ++b) {
      EXPECT_FALSE(at::equal(rollout.latents[a], rollout.latents[b]));
    }
  }
}

/** Standard deviation of the noise that a rollout's rows show, at splits
 * (steps 0 and 3) or elsewhere. */
double shown_noise(const Rollout& rollout, bool at_splits) {
  std::vector<torch::Tensor> all;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t s = rollout.row_state[r];
    const int64_t step = rollout.state_step[s];
    if ((step == 0 || step == 3) == at_splits) {
      all.push_back(step_noise(rollout.transitions[step], rollout.x[s],
                               rollout.y[s], rollout.x_next[r]));
    }
  }
  return at::stack(all).square().mean().sqrt().item<double>();
}

TEST(Trees, ShowStandardNoiseUnlessSplitNoiseIsAsPublished) {
  for (const auto& path : both_paths()) {
    SCOPED_TRACE(name_of(*path));
    auto plan = tree_plan(*path, 6, {0, 3}, 2);
    plan.estimator.tree.split_noise = 4;
    const auto corrected =
        roll_out_with_gaussian(path, plan, request_for(1, 32));
    plan.split_noise_recorded = false;
    const auto published =
        roll_out_with_gaussian(path, plan, request_for(1, 32));
    // The same pictures, since 4 is a power of two; other books.
    EXPECT_TRUE(at::equal(corrected.latents, published.latents));
    EXPECT_TRUE(at::equal(corrected.x_next, published.x_next));
    // 3456 numbers at splits, 4608 elsewhere: standard errors 0.012, 0.010.
    EXPECT_NEAR(shown_noise(corrected, true), 1, 0.05);
    EXPECT_NEAR(shown_noise(corrected, false), 1, 0.05);
    EXPECT_NEAR(shown_noise(published, true), 4, 0.2);
    EXPECT_NEAR(shown_noise(published, false), 1, 0.05);
  }
}

TEST(Trees, SplitNoiseSpreadsTheLeaves) {
  const auto path = diffusion_path();
  auto plan = tree_plan(*path, 10, {6}, 2);
  const auto spread = [&] {
    const auto rollout = roll_out_with_gaussian(path, plan, request_for(1, 32));
    const auto pairs = rollout.latents.view({32, 2, -1});
    return (pairs.select(1, 0) - pairs.select(1, 1)).std().item<double>();
  };
  const double usual = spread();
  plan.estimator.tree.split_noise = 3;
  EXPECT_GT(spread(), usual);
}

}  // namespace
}  // namespace rsm
