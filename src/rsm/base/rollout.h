#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/prompt.h"
#include "rsm/base/transition.h"

namespace rsm {

/** What a sampler hands on: states, the rows drawn from them, final pictures.
 *
 * A *state* is an (x, t) of one root at which the network is trained; a *row*
 * is one stochastic step drawn from a state; a state without rows is an anchor.
 * Rows of one state share one network pass, unless the rollout is not `shared`:
 * then each row has a copy of the state.
 * Everything float32, sorted by (root, step), rows by (state, member). */
struct Rollout {
  Prompts prompts;          ///< [P] as asked for; one asked for twice is two
  Transitions transitions;  ///< [N] the stochastic step of each step index

  torch::Tensor x;  ///< [S,C,H,W] states
  torch::Tensor y;  ///< [S,C,H,W] the rollout network's outputs there
  std::vector<int64_t> state_root;    ///< [S] counts roots over all prompts
  std::vector<int64_t> state_prompt;  ///< [S] index into prompts
  std::vector<int64_t> state_step;    ///< [S] index into transitions

  torch::Tensor x_next;            ///< [R,C,H,W] where each row's step led
  std::vector<int64_t> row_state;  ///< [R] index of the row's state
  std::vector<int64_t> row_image;  ///< [R] index of the picture it led to
  /** [R] how many pictures a row led to, from row_image on; empty: one each. */
  std::vector<int64_t> row_images;

  torch::Tensor latents;              ///< [I,C,H,W] final samples
  std::vector<int64_t> image_prompt;  ///< [I] index into prompts

  bool shared = true;

  /** Network evaluations per sample, text guidance counted once. */
  int64_t evaluations = 0;

  int64_t states() const { return static_cast<int64_t>(state_step.size()); }
  int64_t rows() const { return static_cast<int64_t>(row_state.size()); }
  int64_t images() const { return static_cast<int64_t>(image_prompt.size()); }
};

}  // namespace rsm
