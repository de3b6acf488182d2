#include "rsm/estimators/path_balance.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "rsm/base/error.h"
#include "rsm/estimators/predicted_latents.h"

namespace rsm {
namespace {

/** Steps of a path that are rows. */
int64_t rows_of_path(const Rollout& rollout) {
  const int64_t rows = std::ssize(rollout.transitions) - 1;
  RSM_CHECK(rollout.rows() == rollout.images() * rows &&
                rollout.states() == rollout.rows(),
            "[flow] ", rollout.states(), " states with ", rollout.rows(),
            " rows for ", rollout.images(), " pictures of ", rows + 1,
            " steps; stochastic paths are needed, whose every step but the "
            "last is a row");
  return rows;
}

/** Mean log-density of x [C,H,W] under N(mean, std^2), mean in float64. */
double log_density(const torch::Tensor& x, const torch::Tensor& mean,
                   double std) {
  const auto away = (x.to(at::kDouble) - mean) / std;
  return -0.5 * away.square().mean().item<double>() - std::log(std) -
         0.5 * std::log(2 * std::numbers::pi);
}

/** [P,N-1] of a number of each row. */
template <typename F>
torch::Tensor by_path(const Rollout& rollout, const F& number_of_row) {
  const int64_t rows = rows_of_path(rollout);
  auto out = at::empty({rollout.rows()}, at::kDouble);
  double* value = out.mutable_data_ptr<double>();
  for (int64_t r = 0; r < rollout.rows(); ++r) value[r] = number_of_row(r);
  return out.view({-1, rows});
}

}  // namespace

torch::Tensor forward_log_density(const Rollout& rollout,
                                  const torch::Tensor& y) {
  return by_path(rollout, [&](int64_t r) {
    const auto& step = rollout.transition_of(r);
    return log_density(rollout.x_next[r],
                       step.a_x * rollout.x[r].to(at::kDouble) +
                           step.m_y * y[r].to(at::kDouble),
                       step.s);
  });
}

torch::Tensor backward_log_density(const Rollout& rollout, const Path& path) {
  return by_path(rollout, [&](int64_t r) {
    const auto& step = rollout.transition_of(r);
    const double c = path.signal(step.t) / path.signal(step.t_next);
    const double n = path.noise(step.t), before = c * path.noise(step.t_next);
    return log_density(rollout.x[r], c * rollout.x_next[r].to(at::kDouble),
                       std::sqrt(n * n - before * before));
  });
}

torch::Tensor rewards_on_the_way(const Sampled& sampled, const Path& path,
                                 Denoiser& network, const Decoder& decoder,
                                 const Reward& reward) {
  const auto& rollout = sampled.rollout;
  const int64_t rows = rows_of_path(rollout);
  const auto shape = rollout.x[0].sizes().vec();
  const int64_t at_once = pictures_at_once(decoder, shape);
  auto inner = at::empty({rollout.states()}, at::kDouble);
  for (int64_t first = 0; first < rollout.states(); first += at_once) {
    const int64_t last = std::min(first + at_once, rollout.states());
    std::vector<int64_t> states;
    Prompts prompts;
    for (int64_t state = first; state < last; ++state) {
      states.push_back(state);
      prompts.push_back(rollout.prompts[rollout.state_prompt[state]]);
    }
    const auto y = network.predict(rollout.x.slice(0, first, last),
                                   times_of(rollout, states),
                                   sampled.conditions_of(states));
    const auto pictures =
        decoder.decode(predicted_latents(rollout, path, states, y));
    inner.slice(0, first, last).copy_(reward.score(pictures, prompts).value);
  }
  return at::cat({inner.view({-1, rows}),
                  sampled.scores.value.to(at::kDouble).view({-1, 1})},
                 1);
}

torch::Tensor residuals(const torch::Tensor& known, const torch::Tensor& flow) {
  const auto next = at::constant_pad_nd(flow.slice(1, 1), {0, 1});
  return known + flow - next;
}

torch::Tensor flow_slope(const torch::Tensor& residual) {
  // A state's flow is added in its own row, and taken off in the one before.
  const auto before = at::constant_pad_nd(residual.slice(1, 0, -1), {1, 0});
  return 2.0 / static_cast<double>(residual.numel()) * (residual - before);
}

}  // namespace rsm
