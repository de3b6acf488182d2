#include "rsm/rollouts/sampling.h"

#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

/** Every row so many times. */
torch::Tensor repeated(const torch::Tensor& x, int64_t times) {
  return times == 1 ? x : x.repeat_interleave(times, 0);
}

/** [1,C,H,W] of [C,H,W]. */
std::vector<int64_t> one_of(const std::vector<int64_t>& latent_shape) {
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), latent_shape.begin(), latent_shape.end());
  return shape;
}

}  // namespace

Sampling::Sampling(Denoiser& denoiser, const Path& path,
                   const RolloutPlan& plan, const RolloutRequest& request,
                   PromptRange part, Rollout& out,
                   const OnEvaluations& on_evaluations, const RunningCost& cost)
    : denoiser_(denoiser),
      path_(path),
      plan_(plan),
      request_(request),
      out_(out),
      on_evaluations_(on_evaluations),
      cost_(cost),
      times_(plan.times(path)),
      first_root_(part.first * request.members) {
  if (counts_costs()) factors_ = factors_of(cost, out.transitions);
  const auto first = request.first_members();
  for (int64_t p = part.first; p < part.first + part.count; ++p) {
    for (int64_t m = 0; m < request.members; ++m) {
      roots_.push_back({p, first[p] + m});
    }
  }
}

std::vector<int64_t> Sampling::prompts_of_roots(int64_t m) const {
  std::vector<int64_t> prompt;
  for (const auto& root : roots_) {
    prompt.insert(prompt.end(), m, root.prompt);
  }
  return prompt;
}

torch::Tensor Sampling::start() const {
  if (request_.start.defined()) {
    return request_.start
        .index_select(0, torch::tensor(prompts_of_roots(1), at::kLong)
                             .to(request_.start.device()))
        .to(request_.conditions.tokens.device());
  }
  std::vector<torch::Tensor> noise;
  for (const auto& root : roots_) {
    noise.push_back(initial_noise(
        request_.run_seed, Purpose::initial_noise, request_.epoch,
        request_.prompts[root.prompt],
        plan_.estimator.shared_start ? 0 : root.member, request_.latent_shape));
  }
  return at::cat(noise).to(request_.conditions.tokens.device());
}

torch::Tensor Sampling::evaluate(const torch::Tensor& x, const torch::Tensor& t,
                                 const std::vector<int64_t>& prompt) {
  evaluations_ += x.size(0);
  out_.evaluations += x.size(0);
  auto y = denoiser_.predict(
      x, t.to(x.device()),
      ConditionRows(request_.conditions, torch::tensor(prompt, at::kLong)));
  if (on_evaluations_) {
    on_evaluations_(evaluations_);
  }
  return y;
}

torch::Tensor Sampling::evaluate_at(const torch::Tensor& x, int64_t step) {
  if (plan_.is_common_at(step)) return evaluate_common(x, step);
  return evaluate(x, at::full({x.size(0)}, times_[step], at::kFloat),
                  prompts_of_roots(x.size(0) / roots()));
}

torch::Tensor Sampling::evaluate_common(const torch::Tensor& x, int64_t step) {
  std::vector<int64_t> first, of_root, prompts;
  for (int64_t root = 0; root < roots(); ++root) {
    if (root == 0 || roots_[root].prompt != roots_[root - 1].prompt) {
      first.push_back(root);
      prompts.push_back(roots_[root].prompt);
    }
    of_root.push_back(std::ssize(first) - 1);
  }
  const auto rows = [&](const std::vector<int64_t>& all) {
    return torch::tensor(all, at::kLong).to(x.device());
  };
  const auto y = evaluate(
      x.index_select(0, rows(first)),
      at::full({std::ssize(first)}, times_[step], at::kFloat), prompts);
  return y.index_select(0, rows(of_root));
}

torch::Tensor Sampling::ode_step(const torch::Tensor& x, const torch::Tensor& y,
                                 int64_t step) const {
  return rsm::step(path_.ode_step(times_, step), x, y, {});
}

torch::Tensor Sampling::noisy_step(const torch::Tensor& x,
                                   const torch::Tensor& y, int64_t step) const {
  return rsm::step(out_.transitions[step], x, y,
                   noise_of_rows(step).to(x.device()));
}

void Sampling::put(torch::Tensor& all, const torch::Tensor& values,
                   int64_t from) const {
  const int64_t of_all = request_.members * std::ssize(request_.prompts);
  all.unflatten(0, {of_all, -1})
      .slice(0, first_root_, first_root_ + roots())
      .slice(1, from, from + values.size(0) / roots())
      .copy_(values.unflatten(0, {roots(), -1}));
}

void Sampling::keep_states(const torch::Tensor& x, const torch::Tensor& y,
                           int64_t step) {
  put(out_.x, x, plan_.states_before(step));
  put(out_.y, y, plan_.states_before(step));
}

torch::Tensor Sampling::draw_rows(torch::Tensor x, torch::Tensor y,
                                  int64_t step) {
  const int64_t per_state = out_.shared ? plan_.branches_at(step) : 1;
  if (!out_.shared) {
    x = repeated(x, plan_.branches_at(step));
    y = plan_.evaluates_again_at(step) ? evaluate_at(x, step)
                                       : repeated(y, plan_.branches_at(step));
  }
  keep_states(x, y, step);
  auto next =
      rsm::step(out_.transitions[step], repeated(x, per_state),
                repeated(y, per_state), noise_of_rows(step).to(x.device()));
  put(out_.x_next, next, plan_.rows_before(step));
  return next;
}

torch::Tensor Sampling::reference_at(const torch::Tensor& x,
                                     const torch::Tensor& t,
                                     const std::vector<int64_t>& prompt) {
  out_.reference_evaluations += x.size(0);
  return cost_.reference->predict(
      x, t.to(x.device()),
      ConditionRows(request_.conditions, torch::tensor(prompt, at::kLong)));
}

torch::Tensor Sampling::cost_of(const torch::Tensor& x, const torch::Tensor& y,
                                const torch::Tensor& t,
                                const std::vector<int64_t>& prompt,
                                const std::vector<float>& factor) {
  const auto apart = y - reference_at(x, t, prompt);
  return torch::tensor(factor).to(x.device()).view({-1, 1, 1}) *
         apart.to(at::kFloat).square().sum(1);
}

torch::Tensor Sampling::cost_at(const torch::Tensor& x, const torch::Tensor& y,
                                int64_t step) {
  const auto y_ref =
      reference_at(x, at::full({x.size(0)}, times_[step], at::kFloat),
                   prompts_of_roots(x.size(0) / roots()));
  const int64_t copies = out_.shared ? 1 : plan_.branches_at(step);
  if (plan_.branches_at(step) > 0) {  // a state that is handed on
    put(out_.reference.y, repeated(y_ref, copies),
        plan_.states_before(step) -
            plan_.states_before(first_paying_step(plan_)));
  }
  return factors_[step] * (y - y_ref).to(at::kFloat).square().sum(1);
}

void Sampling::keep_costs(const torch::Tensor& costs, int64_t step) {
  put(out_.cost, costs, plan_.rows_before(step));
}

void Sampling::keep_latents(const torch::Tensor& latents) {
  put(out_.latents, latents, 0);
}

void Sampling::keep_noised(const torch::Tensor& latents) {
  const int64_t draws = plan_.estimator.noising().draws;
  const int64_t images = plan_.images_per_root();
  // Behind what else there is of a root.
  const int64_t states = plan_.states_per_root() - draws * images;
  const int64_t rows = plan_.rows_per_root() - draws * images;
  const auto column = [&](const std::vector<float>& values) {
    return torch::tensor(values).to(latents.device()).view({-1, 1, 1, 1});
  };
  for (int64_t draw = 0; draw < draws; ++draw) {
    std::vector<float> signal, noise;
    for (int64_t root = first_root_; root < first_root_ + roots(); ++root) {
      for (int64_t image = 0; image < images; ++image) {
        const double t = out_.own[root * plan_.states_per_root() + states +
                                  draw * images + image]
                             .t;
        signal.push_back(static_cast<float>(path_.signal(t)));
        noise.push_back(static_cast<float>(path_.noise(t)));
      }
    }
    const auto eps = noise_of_pictures(draw).to(latents.device());
    put(out_.x, column(signal) * latents + column(noise) * eps,
        states + draw * images);
    put(out_.x_next, path_.target(latents, eps), rows + draw * images);
  }
}

torch::Tensor Sampling::noise_of_pictures(int64_t draw) const {
  const auto& estimator = plan_.estimator;
  std::vector<torch::Tensor> eps;
  for (const auto& root : roots_) {
    const int64_t member = estimator.noising().shared ? 0 : root.member;
    const auto seed = counted_seed(
        request_.run_seed, Purpose::forward_noise,
        {static_cast<uint64_t>(request_.epoch),
         static_cast<uint64_t>(request_.prompts[root.prompt].id),
         static_cast<uint64_t>(member), static_cast<uint64_t>(draw)});
    for (int64_t image = 0; image < plan_.images_per_root(); ++image) {
      const auto own = estimator.is_of_pictures()
                           ? seed
                           : counted_seed(seed, Purpose::forward_noise,
                                          {static_cast<uint64_t>(image)});
      eps.push_back(counted_normal(own, one_of(request_.latent_shape)));
    }
  }
  return at::cat(eps);
}

torch::Tensor Sampling::noise_of_rows(int64_t step) const {
  std::vector<torch::Tensor> eps;
  for (const auto& root : roots_) {
    const int64_t rows = plan_.nodes_at(step) * plan_.branches_at(step);
    for (int64_t branch = 0; branch < rows; ++branch) {
      eps.push_back(step_noise_of(root, step, branch));
    }
  }
  auto all = at::cat(eps);
  if (plan_.mirrored) all.neg_();
  const bool apart = !plan_.split_noise_recorded;
  return apart ? all * plan_.noise_factor_at(step) : all;
}

torch::Tensor Sampling::noise_at(int64_t step, int64_t count) const {
  std::vector<torch::Tensor> eps;
  for (const auto& root : roots_) {
    for (int64_t state = 0; state < count; ++state) {
      eps.push_back(step_noise_of(root, step, state));
    }
  }
  return at::cat(eps).to(request_.conditions.tokens.device());
}

torch::Tensor Sampling::step_noise_of(const Root& root, int64_t step,
                                      int64_t branch) const {
  return counted_normal(
      counted_seed(
          request_.run_seed, Purpose::step_noise,
          {static_cast<uint64_t>(request_.epoch),
           static_cast<uint64_t>(request_.prompts[root.prompt].id),
           static_cast<uint64_t>(root.member), static_cast<uint64_t>(step),
           static_cast<uint64_t>(branch)}),
      one_of(request_.latent_shape));
}

}  // namespace rsm
