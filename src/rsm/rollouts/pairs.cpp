#include "rsm/rollouts/pairs.h"

#include <cmath>

#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

constexpr int64_t kPaths = 2;

/** Where both paths begin, [roots * 2,C,H,W]. */
torch::Tensor starts(const Sampling& sampling) {
  const auto& plan = sampling.plan();
  const auto x = sampling.start().repeat_interleave(kPaths, 0);
  if (plan.noise.kind != SamplerNoise::churn) return x;
  const double kept = 1 / (1 + plan.noise.level_at(0));
  return kept * x + std::sqrt((1 - kept) * (1 + kept)) *
                        sampling.noise_at(plan.steps, kPaths);
}

}  // namespace

void draw_pairs(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const auto steps = sampling.path().noisy_steps(sampling.times(), plan.noise);
  const int64_t last = plan.steps - 1;
  auto x = starts(sampling);
  for (int64_t i = 0; i < last; ++i) {
    const auto y = sampling.evaluate_at(x, i);
    sampling.keep_states(x, y, i);
    x = step(steps[i], x, y, sampling.noise_at(i, kPaths));
  }
  const auto y = sampling.evaluate_at(x, last);
  sampling.keep_states(x, y, last);
  sampling.keep_latents(sampling.ode_step(x, y, last));
}

}  // namespace rsm
