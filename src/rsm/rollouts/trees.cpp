#include "rsm/rollouts/trees.h"

namespace rsm {

void draw_trees(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const int64_t last = plan.steps - 1;
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
      sampling.ode_step(x, sampling.evaluate_at(x, last), last));
}

}  // namespace rsm
