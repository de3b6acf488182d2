#include "rsm/rollouts/sampler.h"

#include <algorithm>
#include <map>

#include "rsm/base/error.h"
#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

/** Where a root comes from; its place in the list is its number. */
struct Root {
  int64_t prompt;  ///< index into the request's prompts
  int64_t member;
};

std::vector<Root> make_roots(const RolloutRequest& request) {
  std::vector<Root> roots;
  std::map<int64_t, int64_t> drawn;  // members so far, by prompt id
  for (size_t p = 0; p < request.prompts.size(); ++p) {
    for (int64_t m = 0; m < request.members; ++m) {
      roots.push_back(
          {static_cast<int64_t>(p), drawn[request.prompts[p].id]++});
    }
  }
  return roots;
}

/** One sampler run in progress. */
class Sampling {
 public:
  Sampling(Denoiser& denoiser, const FlowMatchSchedule& schedule,
           const RolloutPlan& plan, const RolloutRequest& request,
           const OnEvaluations& on_evaluations)
      : denoiser_(denoiser),
        schedule_(schedule),
        times_(schedule.times(plan.steps)),
        plan_(plan),
        request_(request),
        on_evaluations_(on_evaluations),
        roots_(make_roots(request)) {
    out_.prompts = request.prompts;
    out_.transitions = flow_sde_transitions(times_, plan.noise_level);
    out_.shared = plan.sharing == Sharing::all;
  }

  Rollout run() {
    if (plan_.source == EstimatorKnobs::Source::rollout) {
      draw_paths();
    } else {
      draw_branches();
    }
    sort_states();
    return std::move(out_);
  }

 private:
  torch::Tensor noise_of_roots() const {
    std::vector<torch::Tensor> noise;
    for (const auto& root : roots_) {
      noise.push_back(initial_noise(
          request_.run_seed, Purpose::initial_noise, request_.epoch,
          request_.prompts[root.prompt], root.member, request_.latent_shape));
    }
    return at::cat(noise).to(request_.conditions.tokens.device());
  }

  /** Noise of the step from `step`, one sample for each listed root. */
  torch::Tensor step_noise_of(int64_t root, int64_t step,
                              int64_t branch) const {
    const auto& from = roots_[root];
    std::vector<int64_t> shape = {1};
    shape.insert(shape.end(), request_.latent_shape.begin(),
                 request_.latent_shape.end());
    return counted_normal(
        counted_seed(
            request_.run_seed, Purpose::step_noise,
            {static_cast<uint64_t>(request_.epoch),
             static_cast<uint64_t>(request_.prompts[from.prompt].id),
             static_cast<uint64_t>(from.member), static_cast<uint64_t>(step),
             static_cast<uint64_t>(branch)}),
        shape);
  }

  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& t,
                         const std::vector<int64_t>& prompt) {
    const auto index = torch::tensor(prompt, at::kLong)
                           .to(request_.conditions.tokens.device());
    out_.evaluations += x.size(0);
    auto y = denoiser_.predict(x, t.to(x.device()),
                               request_.conditions.select(index));
    if (on_evaluations_) {
      on_evaluations_(out_.evaluations);
    }
    return y;
  }

  torch::Tensor evaluate_at(const torch::Tensor& x, int64_t step,
                            const std::vector<int64_t>& prompt) {
    return evaluate(x, at::full({x.size(0)}, times_[step], at::kFloat), prompt);
  }

  /** Hands on the states of all roots at one step, so many of each root;
   * returns the number of the first. */
  int64_t keep_states(const torch::Tensor& x, const torch::Tensor& y,
                      int64_t step, int64_t copies = 1) {
    const int64_t first = out_.states();
    kept_x_.push_back(x);
    kept_y_.push_back(y);
    for (size_t r = 0; r < roots_.size(); ++r) {
      for (int64_t c = 0; c < copies; ++c) {
        out_.state_root.push_back(static_cast<int64_t>(r));
        out_.state_prompt.push_back(roots_[r].prompt);
        out_.state_step.push_back(step);
      }
    }
    return first;
  }

  /** The roots' prompts, each so many times. */
  std::vector<int64_t> prompts_of_roots(int64_t copies = 1) const {
    std::vector<int64_t> prompt;
    for (const auto& root : roots_) {
      prompt.insert(prompt.end(), copies, root.prompt);
    }
    return prompt;
  }

  /** Stochastic paths: every step but the last is a row of its own state. */
  void draw_paths() {
    auto x = noise_of_roots();
    const auto prompt = prompts_of_roots();
    for (int64_t i = 0; i < plan_.steps; ++i) {
      const auto y = evaluate_at(x, i, prompt);
      if (i == plan_.steps - 1) {
        x = step(flow_ode_step(times_, i), x, y, {});
        break;
      }
      std::vector<torch::Tensor> eps;
      const int64_t first = keep_states(x, y, i);
      for (size_t r = 0; r < roots_.size(); ++r) {
        eps.push_back(step_noise_of(static_cast<int64_t>(r), i, 0));
        out_.row_state.push_back(first + static_cast<int64_t>(r));
        out_.row_image.push_back(static_cast<int64_t>(r));
      }
      x = step(out_.transitions[i], x, y, at::cat(eps).to(x.device()));
      kept_next_.push_back(x);
    }
    out_.latents = x;
    out_.image_prompt = prompt;
  }

  /** A deterministic root; K_i one-step branches from its state at step i;
   * each branch deterministic to the end. */
  void draw_branches() {
    auto x = noise_of_roots();
    const auto prompt = prompts_of_roots();
    std::vector<int64_t> drawn_at;  // step of each branch
    for (int64_t i = 0; i < plan_.root_steps(); ++i) {
      const auto y = evaluate_at(x, i, prompt);
      if (plan_.branches_at(i) > 0) {
        branch(x, y, i, drawn_at);
      } else if (plan_.anchors) {
        keep_states(x, y, i);
      }
      if (i + 1 < plan_.root_steps()) {
        x = step(flow_ode_step(times_, i), x, y, {});
      }
    }
    continue_branches(drawn_at);
  }

  /** Branches of all roots, whose states at step i are x with outputs y. */
  void branch(torch::Tensor x, torch::Tensor y, int64_t i,
              std::vector<int64_t>& drawn_at) {
    const int64_t branches = plan_.branches_at(i);
    const int64_t copies = plan_.states_at(i);
    if (plan_.sharing != Sharing::all) {
      x = x.repeat_interleave(copies, 0);
      y = plan_.sharing == Sharing::none
              ? evaluate_at(x, i, prompts_of_roots(copies))
              : y.repeat_interleave(copies, 0);
    }
    const int64_t first = keep_states(x, y, i, copies);
    std::vector<torch::Tensor> eps;
    std::vector<int64_t> parent;  // in x
    for (size_t r = 0; r < roots_.size(); ++r) {
      for (int64_t k = 0; k < branches; ++k) {
        const int64_t root = static_cast<int64_t>(r);
        eps.push_back(step_noise_of(root, i, k));
        parent.push_back(out_.shared ? root : root * copies + k);
        out_.row_image.push_back(out_.rows());
        out_.row_state.push_back(first + parent.back());
        out_.image_prompt.push_back(roots_[r].prompt);
        drawn_at.push_back(i);
      }
    }
    const auto index = torch::tensor(parent, at::kLong).to(x.device());
    kept_next_.push_back(step(out_.transitions[i], x.index_select(0, index),
                              y.index_select(0, index),
                              at::cat(eps).to(x.device())));
  }

  /** The times a branch drawn at `step` goes through to its picture. */
  std::vector<double> continuation_times(int64_t step) const {
    const int64_t count = plan_.continuation_at(step);
    if (count == plan_.steps - 1 - step) {
      return {times_.begin() + step + 1, times_.end()};
    }
    return schedule_.times_from(times_[step + 1], count);
  }

  /** Takes all branches to their pictures, each on its own grid, the k-th step
   * of all together. Branches stand in the order of their steps, and later
   * ones have fewer steps left: those under way are a prefix. Grids of their
   * own are stepped by Adams and Bashforth's second-order formula for uneven
   * steps, x' = x - h (v + h / (2 h_before) (v - v_before)). */
  void continue_branches(const std::vector<int64_t>& drawn_at) {
    auto x = at::cat(kept_next_);
    std::vector<std::vector<double>> grids;
    std::vector<bool> second_order;
    for (const int64_t step : drawn_at) {
      grids.push_back(continuation_times(step));
      second_order.push_back(plan_.continuation_at(step) <
                             plan_.steps - 1 - step);
    }
    torch::Tensor y_before;
    for (size_t k = 0;; ++k) {
      std::vector<float> t, h, mix;
      while (t.size() < grids.size() && k + 1 < grids[t.size()].size()) {
        const auto& grid = grids[t.size()];
        const double step = grid[k] - grid[k + 1];
        const bool extrapolate = k > 0 && second_order[t.size()];
        mix.push_back(static_cast<float>(
            extrapolate ? step / (2 * (grid[k - 1] - grid[k])) : 0));
        t.push_back(static_cast<float>(grid[k]));
        h.push_back(static_cast<float>(step));
      }
      if (t.empty()) {
        break;
      }
      const auto count = static_cast<int64_t>(t.size());
      const auto column = [&](const std::vector<float>& values) {
        return torch::tensor(values).to(x.device()).view({-1, 1, 1, 1});
      };
      const auto moving = x.slice(0, 0, count);
      const auto y = evaluate(
          moving, torch::tensor(t),
          {out_.image_prompt.begin(), out_.image_prompt.begin() + count});
      auto velocity = y;
      if (k > 0) {
        velocity = y + column(mix) * (y - y_before.slice(0, 0, count));
      }
      moving.sub_(column(h) * velocity);
      y_before = y;
    }
    out_.latents = x;
  }

  /** Brings states into the order (root, step) and rows into that of their
   * states. */
  void sort_states() {
    const int64_t states = out_.states();
    std::vector<int64_t> order(states);
    for (int64_t s = 0; s < states; ++s) {
      order[s] = s;
    }
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return std::pair(out_.state_root[a], out_.state_step[a]) <
             std::pair(out_.state_root[b], out_.state_step[b]);
    });
    std::vector<int64_t> place(states);
    const auto permuted = [&](std::vector<int64_t>& values,
                              const std::vector<int64_t>& by) {
      std::vector<int64_t> sorted;
      for (const int64_t i : by) {
        sorted.push_back(values[i]);
      }
      values = std::move(sorted);
    };
    for (int64_t i = 0; i < states; ++i) {
      place[order[i]] = i;
    }
    for (auto& s : out_.row_state) {
      s = place[s];
    }
    permuted(out_.state_root, order);
    permuted(out_.state_prompt, order);
    permuted(out_.state_step, order);
    std::vector<int64_t> rows(out_.rows());
    for (size_t r = 0; r < rows.size(); ++r) {
      rows[r] = static_cast<int64_t>(r);
    }
    std::stable_sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) {
      return out_.row_state[a] < out_.row_state[b];
    });
    permuted(out_.row_state, rows);
    permuted(out_.row_image, rows);
    const auto index = [](const std::vector<int64_t>& v,
                          const torch::Tensor& like) {
      return torch::tensor(v, at::kLong).to(like.device());
    };
    out_.x = at::cat(kept_x_);
    out_.x = out_.x.index_select(0, index(order, out_.x));
    out_.y = at::cat(kept_y_);
    out_.y = out_.y.index_select(0, index(order, out_.y));
    out_.x_next = at::cat(kept_next_);
    out_.x_next = out_.x_next.index_select(0, index(rows, out_.x_next));
  }

  Denoiser& denoiser_;
  const FlowMatchSchedule& schedule_;
  std::vector<double> times_;
  const RolloutPlan& plan_;
  const RolloutRequest& request_;
  const OnEvaluations& on_evaluations_;
  std::vector<Root> roots_;
  std::vector<torch::Tensor> kept_x_, kept_y_, kept_next_;
  Rollout out_;
};

}  // namespace

torch::Tensor initial_noise(uint64_t run_seed, Purpose purpose, int64_t epoch,
                            const Prompt& prompt, int64_t member,
                            const std::vector<int64_t>& latent_shape) {
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), latent_shape.begin(), latent_shape.end());
  return counted_normal(counted_seed(run_seed, purpose,
                                     {static_cast<uint64_t>(epoch),
                                      static_cast<uint64_t>(prompt.id),
                                      static_cast<uint64_t>(member)}),
                        shape);
}

Rollout roll_out(Denoiser& denoiser, const FlowMatchSchedule& schedule,
                 const RolloutPlan& plan, const RolloutRequest& request,
                 const OnEvaluations& on_evaluations) {
  RSM_CHECK(!request.prompts.empty() && request.members > 0 &&
                request.conditions.size() ==
                    static_cast<int64_t>(request.prompts.size()),
            "[roll_out] ", request.prompts.size(), " prompts with ",
            request.conditions.tokens.defined() ? request.conditions.size() : 0,
            " conditions and ", request.members,
            " members arrived; one condition a prompt and at least one member "
            "are needed");
  const torch::NoGradGuard no_grad;
  return Sampling(denoiser, schedule, plan, request, on_evaluations).run();
}

torch::Tensor sample_ode(
    Denoiser& denoiser, const std::vector<double>& times, torch::Tensor noise,
    const Condition& conditions,
    const std::function<void(int64_t, const torch::Tensor&,
                             const torch::Tensor&)>& watch) {
  const torch::NoGradGuard no_grad;
  auto x = std::move(noise);
  for (size_t i = 0; i + 1 < times.size(); ++i) {
    const auto t = at::full({x.size(0)}, times[i], x.options());
    const auto y = denoiser.predict(x, t, conditions);
    if (watch) {
      watch(static_cast<int64_t>(i), x, y);
    }
    x = step(flow_ode_step(times, static_cast<int64_t>(i)), x, y, {});
  }
  return x;
}

}  // namespace rsm
