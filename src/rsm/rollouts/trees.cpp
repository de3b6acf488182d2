#include "rsm/rollouts/trees.h"

namespace rsm {

torch::Tensor draw_trees(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const int64_t last = plan.steps - 1;
  auto x = sampling.start();
  for (int64_t i = 0; i < last; ++i) {
    const auto y = sampling.evaluate_at(x, i);
    if (plan.branches_at(i) == 0) {
      x = sampling.ode_step(x, y, i);
      continue;
    }
    // Children of a node stand together, hence leaves do.
    const int64_t leaves = plan.images_per_root() / plan.nodes_at(i + 1);
    x = sampling.draw_rows(x, y, i, 0, leaves);
  }
  return sampling.ode_step(x, sampling.evaluate_at(x, last), last);
}

}  // namespace rsm
