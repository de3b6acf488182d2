#include "rsm/estimators/noised_gradients.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "rsm/estimators/gradient_testing.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/transitions.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

/** The loss of each entry as its paper writes it, at outputs y of all states:
 * less the mean of the rewards of what is predicted there. */
torch::Tensor published(const std::string& name, const Path& path,
                        const Rollout& rollout, int64_t state,
                        const torch::Tensor& y) {
  const CurvedReward reward;
  const SquashedPixels decoder;
  const auto& row = rollout.transition_of(state);
  const auto x = rollout.x.narrow(0, state, 1);
  torch::Tensor picture;
  if (name == "draft-lv") {
    const auto by = path.prediction(row.t);
    picture = by.x * x + by.y * y;
  } else {
    // One step, and back by the noise that made the state.
    const auto next = step_mean(path.ode_step({row.t, row.t_next}, 0), x, y);
    const auto latent = rollout.latents.narrow(0, rollout.row_image[state], 1);
    const auto noise = (x - path.signal(row.t) * latent) / path.noise(row.t);
    picture = (next - path.noise(row.t_next) * noise) / path.signal(row.t_next);
  }
  return -reward.value_of(decoder.pictures(picture), {}).sum();
}

TEST(NoisedGradients, AreThoseOfThePublishedLosses) {
  for (const std::string name : {"draft-lv", "srpo"}) {
    for (const auto& path : both_paths()) {
      SCOPED_TRACE(cat(name, " on ", name_of(*path)));
      auto method = find_method(name);
      method.estimator.pictures.t_max = 0.7;  // or all is of one time
      const auto plan = plan_on(*path, method);
      auto request = request_for(2, 2);
      request.latent_shape = {3, 2, 2};
      GaussianDenoiser denoiser(path);
      Sampled sampled;
      sampled.rollout = roll_out(denoiser, *path, plan, request);
      sampled.conditions = request.conditions;
      const auto& rollout = sampled.rollout;
      sampled.scores.value = at::zeros({rollout.images()});
      const CurvedReward reward;
      const SquashedPixels decoder;
      NoisedGradients estimator(method,
                                {reward, decoder, *path, denoiser, denoiser});
      const auto guidance = estimator.guide(sampled, 0);
      const auto states = all_states(rollout);
      auto y = denoiser.predict(rollout.x, times_of(rollout, states),
                                sampled.conditions_of(states));
      const Outputs outputs = {{y, states}, {y, states}, {}};
      const auto terms = loss_terms(
          method, rollout, outputs, guidance,
          update_weights(method, rollout, guidance.advantages, states), states);
      const auto gradient = rsm_loss(y, terms.states, terms.rows).gradient;
      const auto leaf = y.clone().requires_grad_();
      auto loss = torch::zeros({});
      for (const int64_t s : states) {
        loss = loss + published(name, *path, rollout, s, leaf.narrow(0, s, 1)) /
                          static_cast<double>(states.size());
      }
      const auto expected = torch::autograd::grad({loss}, {leaf})[0];
      ASSERT_GT(expected.norm().item<double>(), 0);
      EXPECT_LT(((gradient - expected).norm() / expected.norm()).item<double>(),
                1e-3);
    }
  }
}

}  // namespace
}  // namespace rsm
