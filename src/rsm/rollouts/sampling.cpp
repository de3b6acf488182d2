#include "rsm/rollouts/sampling.h"

#include <algorithm>
#include <numeric>

#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

/** Every row so many times. */
torch::Tensor repeated(const torch::Tensor& x, int64_t times) {
  return times == 1 ? x : x.repeat_interleave(times, 0);
}

/** 0..n-1 in the order of their keys; what is equal stays in place. */
template <typename Key>
std::vector<int64_t> order_by(int64_t n, const Key& key) {
  std::vector<int64_t> order(n);
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return key(a) < key(b); });
  return order;
}

void reorder(std::vector<int64_t>& values, const std::vector<int64_t>& order) {
  std::vector<int64_t> sorted;
  for (const int64_t i : order) {
    sorted.push_back(values[i]);
  }
  values = std::move(sorted);
}

torch::Tensor in_order(const std::vector<torch::Tensor>& parts,
                       const std::vector<int64_t>& order) {
  const auto all = at::cat(parts);
  return all.index_select(0, torch::tensor(order, at::kLong).to(all.device()));
}

}  // namespace

Sampling::Sampling(Denoiser& denoiser, const Path& path,
                   const RolloutPlan& plan, const RolloutRequest& request,
                   const OnEvaluations& on_evaluations)
    : denoiser_(denoiser),
      path_(path),
      plan_(plan),
      request_(request),
      on_evaluations_(on_evaluations),
      times_(path.times(plan.steps)) {
  const auto first = request.first_members();
  for (size_t p = 0; p < request.prompts.size(); ++p) {
    for (int64_t m = 0; m < request.members; ++m) {
      roots_.push_back({static_cast<int64_t>(p), first[p] + m});
    }
  }
  out_.prompts = request.prompts;
  out_.transitions = plan.transitions(path);
  out_.shared = plan.sharing == Sharing::all;
}

std::vector<int64_t> Sampling::prompts_of_roots(int64_t m) const {
  std::vector<int64_t> prompt;
  for (const auto& root : roots_) {
    prompt.insert(prompt.end(), m, root.prompt);
  }
  return prompt;
}

torch::Tensor Sampling::start() const {
  std::vector<torch::Tensor> noise;
  for (const auto& root : roots_) {
    noise.push_back(initial_noise(request_.run_seed, Purpose::initial_noise,
                                  request_.epoch, request_.prompts[root.prompt],
                                  plan_.shared_start ? 0 : root.member,
                                  request_.latent_shape));
  }
  return at::cat(noise).to(request_.conditions.tokens.device());
}

torch::Tensor Sampling::evaluate(const torch::Tensor& x, const torch::Tensor& t,
                                 const std::vector<int64_t>& prompt) {
  const auto index =
      torch::tensor(prompt, at::kLong).to(request_.conditions.tokens.device());
  out_.evaluations += x.size(0);
  auto y =
      denoiser_.predict(x, t.to(x.device()), request_.conditions.select(index));
  if (on_evaluations_) {
    on_evaluations_(out_.evaluations);
  }
  return y;
}

torch::Tensor Sampling::evaluate_at(const torch::Tensor& x, int64_t step) {
  return evaluate(x, at::full({x.size(0)}, times_[step], at::kFloat),
                  prompts_of_roots(x.size(0) / roots()));
}

torch::Tensor Sampling::ode_step(const torch::Tensor& x, const torch::Tensor& y,
                                 int64_t step) const {
  return rsm::step(path_.ode_step(times_, step), x, y, {});
}

int64_t Sampling::keep_states(const torch::Tensor& x, const torch::Tensor& y,
                              int64_t step) {
  const int64_t first = out_.states();
  kept_x_.push_back(x);
  kept_y_.push_back(y);
  for (int64_t s = 0; s < x.size(0); ++s) {
    const int64_t root = s * roots() / x.size(0);
    out_.state_root.push_back(root);
    out_.state_prompt.push_back(roots_[root].prompt);
    out_.state_step.push_back(step);
  }
  return first;
}

torch::Tensor Sampling::draw_rows(torch::Tensor x, torch::Tensor y,
                                  int64_t step, int64_t first_image,
                                  int64_t images_each) {
  const int64_t per_state = out_.shared ? plan_.branches_at(step) : 1;
  if (!out_.shared) {
    x = repeated(x, plan_.branches_at(step));
    y = plan_.evaluates_again_at(step) ? evaluate_at(x, step)
                                       : repeated(y, plan_.branches_at(step));
  }
  const int64_t first_state = keep_states(x, y, step);
  const int64_t per_root = plan_.nodes_at(step) * plan_.branches_at(step);
  for (int64_t row = 0; row < roots() * per_root; ++row) {
    out_.row_state.push_back(first_state + row / per_state);
    out_.row_image.push_back(row / per_root * plan_.images_per_root() +
                             first_image + row % per_root * images_each);
    if (plan_.source == EstimatorKnobs::Source::tree) {
      out_.row_images.push_back(images_each);
    }
  }
  kept_next_.push_back(rsm::step(out_.transitions[step], repeated(x, per_state),
                                 repeated(y, per_state),
                                 noise_of_rows(step).to(x.device())));
  return kept_next_.back();
}

torch::Tensor Sampling::noise_of_rows(int64_t step) const {
  std::vector<torch::Tensor> eps;
  for (const auto& root : roots_) {
    const int64_t rows = plan_.nodes_at(step) * plan_.branches_at(step);
    for (int64_t branch = 0; branch < rows; ++branch) {
      eps.push_back(step_noise_of(root, step, branch));
    }
  }
  const auto all = at::cat(eps);
  const bool apart = !plan_.split_noise_recorded;
  return apart ? all * plan_.noise_factor_at(step) : all;
}

torch::Tensor Sampling::step_noise_of(const Root& root, int64_t step,
                                      int64_t branch) const {
  std::vector<int64_t> shape = {1};
  shape.insert(shape.end(), request_.latent_shape.begin(),
               request_.latent_shape.end());
  return counted_normal(
      counted_seed(
          request_.run_seed, Purpose::step_noise,
          {static_cast<uint64_t>(request_.epoch),
           static_cast<uint64_t>(request_.prompts[root.prompt].id),
           static_cast<uint64_t>(root.member), static_cast<uint64_t>(step),
           static_cast<uint64_t>(branch)}),
      shape);
}

Rollout Sampling::finish(torch::Tensor latents) {
  out_.latents = std::move(latents);
  out_.image_prompt = prompts_of_roots(plan_.images_per_root());
  sort_states();
  return std::move(out_);
}

/** Brings states into the order (root, step) and rows into that of their
 * states. */
void Sampling::sort_states() {
  const auto states = order_by(out_.states(), [&](int64_t s) {
    return std::pair(out_.state_root[s], out_.state_step[s]);
  });
  std::vector<int64_t> place(states.size());
  for (size_t i = 0; i < states.size(); ++i) {
    place[states[i]] = static_cast<int64_t>(i);
  }
  for (auto& state : out_.row_state) {
    state = place[state];
  }
  const auto rows =
      order_by(out_.rows(), [&](int64_t row) { return out_.row_state[row]; });
  reorder(out_.state_root, states);
  reorder(out_.state_prompt, states);
  reorder(out_.state_step, states);
  reorder(out_.row_state, rows);
  reorder(out_.row_image, rows);
  if (!out_.row_images.empty()) {
    reorder(out_.row_images, rows);
  }
  out_.x = in_order(kept_x_, states);
  out_.y = in_order(kept_y_, states);
  out_.x_next = in_order(kept_next_, rows);
}

}  // namespace rsm
