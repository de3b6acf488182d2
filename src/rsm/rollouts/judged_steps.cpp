#include "rsm/rollouts/judged_steps.h"

#include <vector>

namespace rsm {
namespace {

/** Where the ODE leads from states of a step whose outputs are y. */
torch::Tensor completed(Sampling& sampling, torch::Tensor x, torch::Tensor y,
                        int64_t step) {
  const int64_t last = sampling.plan().steps - 1;
  for (; step < last; ++step) {
    x = sampling.ode_step(x, y, step);
    y = sampling.evaluate_at(x, step + 1);
  }
  return sampling.ode_step(x, y, last);
}

}  // namespace

void draw_judged_steps(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const int64_t end = plan.window_end();
  std::vector<torch::Tensor> pictures;
  auto x = sampling.start();
  for (int64_t i = 0; i < end; ++i) {
    const auto y = sampling.evaluate_at(x, i);
    if (plan.branches_at(i) == 0) {
      x = sampling.ode_step(x, y, i);
      continue;
    }
    pictures.push_back(completed(sampling, x, y, i));
    x = sampling.draw_rows(x, y, i);
  }
  pictures.push_back(completed(sampling, x, sampling.evaluate_at(x, end), end));
  sampling.keep_latents(at::stack(pictures, 1).flatten(0, 1));
}

}  // namespace rsm
