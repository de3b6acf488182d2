#include "rsm/rollouts/branches.h"

#include <iterator>
#include <map>

namespace rsm {
namespace {

/** How states of one time go on to their pictures. */
struct Continuation {
  Transitions steps;        ///< of the ODE
  std::vector<double> mix;  ///< h / (2 h_before); 0 where nothing is mixed in
  std::vector<double> factors;  ///< of what steps cost; empty: nothing
};

/** From the `from`-th time of a sampler's grid: its own steps where `count` of
 * them are left, else so many of a second-order solver on a grid of its own
 * (Path::extrapolation). */
Continuation continuation(const Sampling& sampling, int64_t from,
                          int64_t count) {
  const auto& path = sampling.path();
  const auto& grid = sampling.times();
  const bool cheap = count < std::ssize(grid) - 1 - from;
  const auto times = cheap
                         ? path.times_from(grid[from], count)
                         : std::vector<double>(grid.begin() + from, grid.end());
  Continuation out;
  for (int64_t k = 0; k < count; ++k) {
    out.steps.push_back(path.ode_step(times, k));
    out.mix.push_back(cheap && k > 0 ? path.extrapolation(times, k) : 0);
  }
  if (sampling.counts_costs()) out.factors = sampling.factors_along(times);
  return out;
}

/** One branch, for the batch of all. */
struct Branch {
  const Continuation* way;
  int64_t prompt;
  int64_t image;
};

/** The k-th step of those branches that have one, as columns of a batch. */
struct StepOfAll {
  std::vector<float> t, a_x, m_y, mix;
  std::vector<int64_t> prompt;

  StepOfAll(const std::vector<Branch>& branches, size_t k) {
    // Earlier branches have no fewer steps left: those under way are a prefix.
    for (const auto& branch : branches) {
      if (k >= branch.way->steps.size()) {
        break;
      }
      const auto& transition = branch.way->steps[k];
      t.push_back(static_cast<float>(transition.t));
      a_x.push_back(static_cast<float>(transition.a_x));
      m_y.push_back(static_cast<float>(transition.m_y));
      mix.push_back(static_cast<float>(branch.way->mix[k]));
      prompt.push_back(branch.prompt);
    }
  }
  int64_t size() const { return static_cast<int64_t>(t.size()); }
};

torch::Tensor column(const std::vector<float>& values, torch::Device device) {
  return torch::tensor(values).to(device).view({-1, 1, 1, 1});
}

/** Adds to `costs`, which are undefined before the first, what the k-th states
 * cost: those of all branches that have a step behind that one. */
void add_costs(Sampling& sampling, const std::vector<Branch>& branches,
               size_t k, const StepOfAll& now, const torch::Tensor& x,
               const torch::Tensor& y, torch::Tensor& costs) {
  std::vector<float> factors;
  for (const auto& branch : branches) {
    if (k + 1 >= branch.way->factors.size()) break;
    factors.push_back(static_cast<float>(branch.way->factors[k]));
  }
  const int64_t count = std::ssize(factors);
  if (!costs.defined()) costs = at::zeros_like(x.select(1, 0));
  if (count == 0) return;
  const std::vector<float> t(now.t.begin(), now.t.begin() + count);
  costs.slice(0, 0, count)
      .add_(sampling.cost_of(
          x.slice(0, 0, count), y.slice(0, 0, count), torch::tensor(t),
          {now.prompt.begin(), now.prompt.begin() + count}, factors));
}

/** Takes x, in the order of the branches, to the pictures, in place. Returns
 * what the ways there cost, [B,H,W]; undefined where nothing does. */
torch::Tensor continue_to_pictures(Sampling& sampling,
                                   const std::vector<Branch>& branches,
                                   const torch::Tensor& x) {
  torch::Tensor y_before, costs;
  for (size_t k = 0;; ++k) {
    const StepOfAll now(branches, k);
    if (now.size() == 0) {
      return costs;
    }
    const auto moving = x.slice(0, 0, now.size());
    const auto y = sampling.evaluate(moving, torch::tensor(now.t), now.prompt);
    if (sampling.counts_costs()) {
      add_costs(sampling, branches, k, now, x, y, costs);
    }
    auto output = y;
    if (k > 0) {
      output = y + column(now.mix, x.device()) *
                       (y - y_before.slice(0, 0, now.size()));
    }
    moving.copy_(column(now.a_x, x.device()) * moving +
                 column(now.m_y, x.device()) * output);
    y_before = y;
  }
}

/** x, which stands in the order of the branches, in that of their pictures. */
torch::Tensor by_image(const torch::Tensor& x,
                       const std::vector<Branch>& branches) {
  std::vector<int64_t> order(branches.size());
  for (size_t b = 0; b < branches.size(); ++b) {
    order[branches[b].image] = static_cast<int64_t>(b);
  }
  return x.index_select(0, torch::tensor(order, at::kLong).to(x.device()));
}

}  // namespace

void draw_branches(Sampling& sampling) {
  const auto& plan = sampling.plan();
  const auto prompts = sampling.prompts_of_roots(1);
  const auto roots = static_cast<int64_t>(prompts.size());
  std::map<int64_t, Continuation> ways;
  std::vector<Branch> branches;
  std::vector<torch::Tensor> drawn;
  auto x = sampling.start();
  for (int64_t i = 0; i < plan.root_steps(); ++i) {
    const auto y = sampling.evaluate_at(x, i);
    const int64_t count = plan.branches_at(i);
    if (count > 0) {
      drawn.push_back(sampling.draw_rows(x, y, i));
      const auto* way =
          &(ways[i] = continuation(sampling, i + 1, plan.continuation_at(i)));
      for (int64_t b = 0; b < roots * count; ++b) {
        const int64_t root = b / count;
        branches.push_back(
            {way, prompts[root],
             root * plan.images_per_root() + plan.rows_before(i) + b % count});
      }
    } else if (plan.anchors) {
      sampling.keep_states(x, y, i);
    }
    if (i + 1 < plan.root_steps()) {
      x = sampling.ode_step(x, y, i);
    }
  }
  const auto all = at::cat(drawn);
  const auto costs = continue_to_pictures(sampling, branches, all);
  // A row a picture, in the same order.
  if (costs.defined()) sampling.keep_costs(by_image(costs, branches), 0);
  const auto latents = by_image(all, branches);
  sampling.keep_latents(latents);
  if (plan.estimator.forward.is_on()) sampling.keep_noised(latents);
}

}  // namespace rsm
