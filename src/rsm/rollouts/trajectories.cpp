#include "rsm/rollouts/trajectories.h"

namespace rsm {

void draw_trajectories(Sampling& sampling) {
  const auto& plan = sampling.plan();
  auto x = sampling.start();
  for (int64_t i = 0; i < plan.steps; ++i) {
    const auto y = sampling.evaluate_at(x, i);
    sampling.keep_states(x, y, i);
    x = plan.estimator.gradient.stochastic ? sampling.noisy_step(x, y, i)
                                           : sampling.ode_step(x, y, i);
  }
  sampling.keep_latents(x);
}

}  // namespace rsm
