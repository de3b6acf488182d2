#include "rsm/rollouts/trees.h"

#include <utility>
#include <vector>

#include "rsm/rollouts/solve.h"

namespace rsm {
namespace {

/** What each step's states cost, [roots * m,H,W]; undefined: nothing. The last
 * place is of all steps behind those. */
using StepCosts = std::vector<torch::Tensor>;

void add(torch::Tensor& sum, const torch::Tensor& cost) {
  sum = sum.defined() ? sum + cost : cost;
}

/** Where fewer steps than the sampler's lead from its step `from` on. */
torch::Tensor by_fewer_steps(Sampling& sampling, torch::Tensor x, int64_t from,
                             torch::Tensor& cost) {
  const auto times = sampling.path().times_from(
      sampling.times()[from], sampling.plan().steps_after_window());
  const auto prompts = sampling.prompts_of_roots(1);
  const auto factors = sampling.counts_costs() ? sampling.factors_along(times)
                                               : std::vector<double>();
  const auto output = [&](const torch::Tensor& states, int64_t k) {
    const auto t =
        at::full({states.size(0)}, static_cast<float>(times[k]), at::kFloat);
    const auto y = sampling.evaluate(states, t, prompts);
    if (k + 1 < std::ssize(factors)) {
      add(cost,
          sampling.cost_of(states, y, t, prompts,
                           std::vector<float>(states.size(0),
                                              static_cast<float>(factors[k]))));
    }
    return y;
  };
  return solved({.solver = Solver::multistep}, sampling.path(), times,
                std::move(x), output, {});
}

/** What rows have behind them: backwards from the pictures, a node's is the
 * mean of its rows'. */
void hand_on(Sampling& sampling, const StepCosts& costs,
             const torch::Tensor& latents) {
  const auto& plan = sampling.plan();
  auto behind = costs.back().defined() ? costs.back()
                                       : at::zeros_like(latents.select(1, 0));
  for (int64_t i = std::ssize(costs) - 2; i >= 0; --i) {
    const int64_t rows = plan.branches_at(i);
    if (rows > 0) {
      sampling.keep_costs(behind, i);
      behind = behind.unflatten(0, {-1, rows}).mean(1);
    }
    if (costs[i].defined()) behind = behind + costs[i];
  }
}

}  // namespace

void draw_trees(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const bool hurries = plan.hurries();
  const int64_t last = hurries ? plan.window_end() : plan.steps - 1;
  const int64_t paying =
      sampling.counts_costs() ? first_paying_step(plan) : plan.steps;
  StepCosts costs(last + 1);
  auto x = sampling.start();
  for (int64_t i = 0; i < last; ++i) {
    const auto y = sampling.evaluate_at(x, i);
    if (i >= paying) costs[i] = sampling.cost_at(x, y, i);
    if (plan.branches_at(i) == 0) {
      x = sampling.ode_step(x, y, i);
      continue;
    }
    x = sampling.draw_rows(x, y, i);
  }
  const auto latents =
      hurries ? by_fewer_steps(sampling, x, last, costs[last])
              : sampling.ode_step(x, sampling.evaluate_at(x, last), last);
  sampling.keep_latents(latents);
  if (sampling.counts_costs()) hand_on(sampling, costs, latents);
}

}  // namespace rsm
