#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/rollouts/sampler.h"

namespace rsm {

/** A part of a rollout while it is drawn, the inside of draw(): the roots of
 * some of a request's prompts, their noise, the network, and the places in the
 * rollout that are theirs.
 *
 * States of one step are [roots * m,C,H,W], root by root, with the same m for
 * every root. They stay on the network's device; what is handed on is copied to
 * the rollout. */
class Sampling {
 public:
  /** All arguments have to outlive it. */
  Sampling(Denoiser& denoiser, const Path& path, const RolloutPlan& plan,
           const RolloutRequest& request, PromptRange part, Rollout& out,
           const OnEvaluations& on_evaluations, const RunningCost& cost);

  const RolloutPlan& plan() const { return plan_; }
  const Path& path() const { return path_; }
  /** Of the plan's steps. */
  const std::vector<double>& times() const { return times_; }
  /** [roots * m] index into the request's prompts. */
  std::vector<int64_t> prompts_of_roots(int64_t m) const;

  /** Where the roots begin, m = 1. */
  torch::Tensor start() const;

  /** The network's outputs: x [B,C,H,W], times t [B], and `prompt` [B], an
   * index into the request's prompts. */
  torch::Tensor evaluate(const torch::Tensor& x, const torch::Tensor& t,
                         const std::vector<int64_t>& prompt);
  /** Its outputs at states of one step; roots of a prompt that are still in one
   * state (plan().is_common_at()) are asked for once. */
  torch::Tensor evaluate_at(const torch::Tensor& x, int64_t step);

  /** Where the deterministic step leads. */
  torch::Tensor ode_step(const torch::Tensor& x, const torch::Tensor& y,
                         int64_t step) const;

  /** Where the stochastic step leads, one row a state. */
  torch::Tensor noisy_step(const torch::Tensor& x, const torch::Tensor& y,
                           int64_t step) const;

  /** [roots * count,C,H,W] the noise of a step that every root takes, of each
   * of so many states. */
  torch::Tensor noise_at(int64_t step, int64_t count = 1) const;

  /** Hands on the states of one step with their outputs. */
  void keep_states(const torch::Tensor& x, const torch::Tensor& y,
                   int64_t step);

  /** Hands on the states of one step, m = plan().nodes_at(step), and the rows
   * the plan draws from each. Returns where these lead, rows of a state
   * together. */
  torch::Tensor draw_rows(torch::Tensor x, torch::Tensor y, int64_t step);

  /** Whether returns pay for later steps. */
  bool counts_costs() const { return plan_.estimator.counts_costs(); }
  /** [n] what a way's steps cost, see factors_along(). */
  std::vector<double> factors_along(const std::vector<double>& times) const {
    return rsm::factors_along(cost_, path_, plan_, times);
  }
  /** [B,H,W] float32 what states x [B,C,H,W] cost whose outputs are y: factor
   * [B] times (y - y_ref)^2, summed over channels. t and `prompt` as of
   * evaluate(). */
  torch::Tensor cost_of(const torch::Tensor& x, const torch::Tensor& y,
                        const torch::Tensor& t,
                        const std::vector<int64_t>& prompt,
                        const std::vector<float>& factor);
  /** That of states of one step, m = plan().nodes_at(step), at which the
   * reference's outputs are handed on. */
  torch::Tensor cost_at(const torch::Tensor& x, const torch::Tensor& y,
                        int64_t step);
  /** Hands on what rows cost, from the place of a step's first one on. */
  void keep_costs(const torch::Tensor& costs, int64_t step);

  /** Hands on the pictures' latents, root by root. */
  void keep_latents(const torch::Tensor& latents);

  /** Hands on the pictures' latents, root by root, noised again: a state and a
   * row of each and draw. */
  void keep_noised(const torch::Tensor& latents);

 private:
  struct Root {
    int64_t prompt;  ///< index into the request's prompts
    int64_t member;
  };

  int64_t roots() const { return static_cast<int64_t>(roots_.size()); }
  /** Copies [roots * m,...] to the places `from` on of each of these roots. */
  void put(torch::Tensor& all, const torch::Tensor& values, int64_t from) const;
  torch::Tensor evaluate_common(const torch::Tensor& x, int64_t step);
  /** The reference's outputs. */
  torch::Tensor reference_at(const torch::Tensor& x, const torch::Tensor& t,
                             const std::vector<int64_t>& prompt);
  torch::Tensor step_noise_of(const Root& root, int64_t step,
                              int64_t branch) const;
  torch::Tensor noise_of_rows(int64_t step) const;
  /** What a draw noises the roots' pictures with, root by root. */
  torch::Tensor noise_of_pictures(int64_t draw) const;

  Denoiser& denoiser_;
  const Path& path_;
  const RolloutPlan& plan_;
  const RolloutRequest& request_;
  Rollout& out_;
  const OnEvaluations& on_evaluations_;
  const RunningCost& cost_;
  std::vector<double> factors_;  ///< [N] of the plan's steps; empty: hard
  std::vector<double> times_;
  std::vector<Root> roots_;
  int64_t first_root_;  ///< among all of the rollout
  int64_t evaluations_ = 0;
};

}  // namespace rsm
