#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/prompt.h"
#include "rsm/base/transition.h"

namespace rsm {

/** Who is who in a rollout, known before anything is drawn.
 *
 * A *state* is an (x, t) of one root at which the network is trained; a *row*
 * is one stochastic step drawn from a state; a state without rows is an anchor.
 * Of pictures a state is a sample noised again, its step a number of such a
 * draw, and its row leads to the output it is pulled to (paths/forward.h). Of
 * pairs, two states of a root stand at each step, of one path and the other.
 * Rows of one state share one network pass, unless the rollout is not `shared`:
 * then each row has a copy of the state.
 * Pictures that branches lead to may be noised again beside them (forward
 * rows): such a state's step is `noised_from` and the number of its draw.
 * States are sorted by (root, step), rows by (state, member). */
struct RolloutIndex {
  Prompts prompts;          ///< [P] as asked for; one asked for twice is two
  Transitions transitions;  ///< [N] the stochastic step of each step index
  Transitions own;  ///< [S] of states that have one of their own; else empty

  std::vector<int64_t> state_root;    ///< [S] counts roots over all prompts
  std::vector<int64_t> state_prompt;  ///< [S] index into prompts
  std::vector<int64_t> state_step;    ///< [S] index into transitions

  std::vector<int64_t> row_state;  ///< [R] index of the row's state
  std::vector<int64_t> row_image;  ///< [R] index of the picture it led to
  /** [R] how many pictures a row led to, from row_image on; empty: one each. */
  std::vector<int64_t> row_images;

  std::vector<int64_t> image_prompt;  ///< [I] index into prompts

  bool shared = true;
  int64_t noised_from = 0;  ///< the first step of forward rows; 0: none are

  int64_t states() const { return static_cast<int64_t>(state_step.size()); }
  int64_t rows() const { return static_cast<int64_t>(row_state.size()); }
  int64_t images() const { return static_cast<int64_t>(image_prompt.size()); }
  /** Whether it is a picture noised again beside branches. */
  bool is_forward(int64_t state) const {
    return noised_from > 0 && state_step[state] >= noised_from;
  }
  const Transition& transition_of(int64_t state) const {
    return own.empty() ? transitions[state_step[state]] : own[state];
  }
};

/** The same without its forward rows. */
RolloutIndex without_forward_rows(const RolloutIndex& rollout);

/** 0 .. S-1 */
std::vector<int64_t> all_states(const RolloutIndex& rollout);
/** Those that have rows, rising. */
std::vector<int64_t> states_with_rows(const RolloutIndex& rollout);

/** A network's outputs at some of a rollout's states, in host memory. */
struct StateOutputs {
  torch::Tensor y;              ///< [K,C,H,W]
  std::vector<int64_t> states;  ///< [K] rising

  /** [B,C,H,W] those of `some`. Throws rsm::Error for a state that is not
   * among `states`. */
  torch::Tensor of(const std::vector<int64_t>& some) const;
};

/** What a sampler hands on: an index and its tensors, float32 in host memory.
 */
struct Rollout : RolloutIndex {
  torch::Tensor x;  ///< [S,C,H,W] states
  /** [S,C,H,W] the rollout network's outputs there; none of pictures. */
  torch::Tensor y;
  /** [R,C,H,W] where each row's step led; none of trajectories and pairs, whose
   * next state it is. */
  torch::Tensor x_next;
  torch::Tensor latents;  ///< [I,C,H,W] final samples
  /** [R,H,W] of soft returns alone: what the steps behind a row cost, the mean
   * over its pictures, by place; see RunningCost (rollouts/running_cost.h). */
  torch::Tensor cost = {};
  /** What the reference was asked for that, where it was at states. */
  StateOutputs reference = {};

  /** Network evaluations of all samples, text guidance counted once. */
  int64_t evaluations = 0;
  int64_t reference_evaluations = 0;  ///< the reference's, beside them
};

/** [B] float32 times of some states. */
torch::Tensor times_of(const RolloutIndex& rollout,
                       const std::vector<int64_t>& states);

/** The entries of a tensor at some places of its first dimension. */
torch::Tensor picked(const torch::Tensor& all,
                     const std::vector<int64_t>& places);

/** What frozen copies of the policy say at a rollout's states. */
struct Outputs {
  /** Of the training copy before updates, or of its slower copy where there is
   * one, where states are trained. */
  StateOutputs old;
  /** Of the reference, where it pulls or is watched. */
  StateOutputs reference;
  /** Of the training copy before updates, where a slower copy has its place and
   * it is asked for. */
  StateOutputs present = {};
  /** Of the reference under text guidance of its own, or as it was reset last,
   * where that pulls. */
  StateOutputs guided_reference = {};

  const StateOutputs& now() const {
    return present.states.empty() ? old : present;
  }
  /** What pulls. */
  const StateOutputs& anchor() const {
    return guided_reference.states.empty() ? reference : guided_reference;
  }
};

}  // namespace rsm
