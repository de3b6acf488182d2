#include "rsm/rollouts/trees.h"

#include "rsm/paths/transitions.h"
#include "rsm/rollouts/continuation.h"

namespace rsm {
namespace {

/** Where fewer steps than the sampler's lead from its step `from` on. */
torch::Tensor by_fewer_steps(Sampling& sampling, torch::Tensor x,
                             int64_t from) {
  const auto& plan = sampling.plan();
  const auto way = continuation(sampling.path(), sampling.times(), from,
                                plan.steps_after_window());
  const auto prompts = sampling.prompts_of_roots(1);
  torch::Tensor y_before;
  for (size_t k = 0; k < way.steps.size(); ++k) {
    const auto& transition = way.steps[k];
    const auto y = sampling.evaluate(
        x, at::full({x.size(0)}, transition.t, at::kFloat), prompts);
    const auto output = k > 0 ? y + way.mix[k] * (y - y_before) : y;
    x = step(transition, x, output, {});
    y_before = y;
  }
  return x;
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
