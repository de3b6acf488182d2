#include "rsm/rollouts/solve.h"

#include <gtest/gtest.h>

#include "rsm/paths/testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

TEST(SampleBy, EverySolverDrawsWhatRolloutsOfPicturesDo) {
  constexpr int64_t kSteps = 6;
  const auto request = request_for(3, 1);
  std::vector<torch::Tensor> start;
  for (const auto& prompt : request.prompts) {
    start.push_back(initial_noise(request.run_seed, Purpose::initial_noise,
                                  request.epoch, prompt, 0, kShape));
  }
  const auto noise = [&](int64_t step) {
    std::vector<torch::Tensor> out;
    for (int64_t p = 0; p < 3; ++p) {
      out.push_back(counted_step_noise(request, p, 0, step, 0));
    }
    return at::stack(out);
  };
  for (const auto& path : both_paths()) {
    std::vector<torch::Tensor> seen;
    for (const auto solver : {Solver::euler, Solver::multistep, Solver::sa}) {
      SCOPED_TRACE(cat(name_of(*path), " ", static_cast<int>(solver)));
      auto plan = plan_of(*path, find_method("sft").estimator, kSteps);
      plan.solver = solver;
      plan.adams = usual_adams(path->family());
      GaussianDenoiser denoiser(path);
      const auto x =
          sample_by(plan.solving(), denoiser, *path, plan.times(*path),
                    at::cat(start), request.conditions, noise);
      EXPECT_TRUE(x.equal(roll_out_with_gaussian(path, plan, request).latents));
      for (const auto& other : seen) EXPECT_FALSE(x.equal(other));
      seen.push_back(x);
    }
  }
}

}  // namespace
}  // namespace rsm
