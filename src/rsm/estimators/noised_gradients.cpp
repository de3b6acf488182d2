#include "rsm/estimators/noised_gradients.h"

#include <algorithm>
#include <numeric>

#include "rsm/estimators/advantages.h"

namespace rsm {
namespace {

constexpr int64_t kStatesAtOnce = 64;

/** How far the picture moves with the output at a row. */
double reach(const Path& path, const Transition& row,
             PictureKnobs::Guidance guidance) {
  if (guidance == PictureKnobs::Guidance::picture) {
    return path.prediction(row.t).y;
  }
  return path.ode_step({row.t, row.t_next}, 0).m_y / path.signal(row.t_next);
}

}  // namespace

Guidance NoisedGradients::guide(const Sampled& sampled, int64_t /*epoch*/) {
  const auto& rollout = sampled.rollout;
  const auto rows = rollout.rows();
  Guidance out;
  out.trained = all_states(rollout);
  out.directions.value = at::empty_like(rollout.x);
  out.directions.of_row.resize(rows);
  std::iota(out.directions.of_row.begin(), out.directions.of_row.end(), 0);
  std::vector<float> reaches;
  for (int64_t r = 0; r < rows; ++r) {
    reaches.push_back(static_cast<float>(
        reach(parts_.path, rollout.transition_of(r), knobs_.guidance)));
  }
  const auto by_y = torch::tensor(reaches);
  for (int64_t first = 0; first < rows; first += kStatesAtOnce) {
    const int64_t last = std::min(first + kStatesAtOnce, rows);
    std::vector<int64_t> states(last - first);
    std::iota(states.begin(), states.end(), first);
    Prompts prompts;
    std::vector<int64_t> images;
    for (const int64_t state : states) {
      prompts.push_back(rollout.prompts[rollout.state_prompt[state]]);
      images.push_back(rollout.row_image[state]);
    }
    const auto part = [&](const torch::Tensor& all) {
      return all.slice(0, first, last);
    };
    const auto y =
        parts_.policy.predict(part(rollout.x), times_of(rollout, states),
                              sampled.conditions_of(states));
    const auto picture =
        rollout.latents.index_select(0, torch::tensor(images, at::kLong)) +
        part(by_y).view({-1, 1, 1, 1}) * (y - part(rollout.x_next));
    part(out.directions.value)
        .copy_(reward_gradient(parts_.reward, parts_.decoder, picture, prompts,
                               gradients_at_once(parts_.decoder, picture))
                   .gradient);
  }
  out.evaluations = rows;
  out.numbers["gradient_norm"] =
      norms(out.directions.value).mean().item<double>();
  // The reward itself stands in a loss that is else a mean over elements.
  const double size = 0.5 * static_cast<double>(rollout.x[0].numel());
  out.advantages = uncompared(size * by_y, at::ones({rows}, at::kBool),
                              sampled.scores.value);
  return out;
}

}  // namespace rsm
