#include "rsm/rollouts/trees.h"

#include <utility>

#include "rsm/rollouts/solve.h"

namespace rsm {
namespace {

/** Where fewer steps than the sampler's lead from its step `from` on. */
torch::Tensor by_fewer_steps(Sampling& sampling, torch::Tensor x,
                             int64_t from) {
  const auto times = sampling.path().times_from(
      sampling.times()[from], sampling.plan().steps_after_window());
  const auto prompts = sampling.prompts_of_roots(1);
  const auto output = [&](const torch::Tensor& states, int64_t k) {
    const auto t =
        at::full({states.size(0)}, static_cast<float>(times[k]), at::kFloat);
    return sampling.evaluate(states, t, prompts);
  };
  return solved({.solver = Solver::multistep}, sampling.path(), times,
                std::move(x), output, {});
}

}  // namespace

void draw_trees(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const bool hurries = plan.hurries();
  const int64_t last = hurries ? plan.window_end() : plan.steps - 1;
  auto x = sampling.start();
  for (int64_t i = 0; i < last; ++i) {
    const auto y = sampling.evaluate_at(x, i);
    if (plan.branches_at(i) == 0) {
      x = sampling.ode_step(x, y, i);
      continue;
    }
    x = sampling.draw_rows(x, y, i);
  }
  sampling.keep_latents(
      hurries ? by_fewer_steps(sampling, x, last)
              : sampling.ode_step(x, sampling.evaluate_at(x, last), last));
}

}  // namespace rsm
