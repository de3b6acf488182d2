#pragma once

#include <torch/types.h>

#include <vector>

#include "rsm/estimators/advantages.h"

/** Small rollouts for tests; no part of the library includes this. */
namespace rsm {

/** Float32 values below 5: one unit in the last place. */
constexpr double kOneUlp = 4.8e-7;

inline std::vector<float> values(const Advantages& advantages) {
  const float* data = advantages.value.const_data_ptr<float>();
  return {data, data + advantages.value.numel()};
}

inline std::vector<bool> alive(const Advantages& advantages) {
  const bool* data = advantages.alive.const_data_ptr<bool>();
  return std::vector<bool>(data, data + advantages.alive.numel());
}

inline torch::Tensor rewards(const std::vector<float>& of) {
  return torch::tensor(of);
}

inline RewardScores scores(const torch::Tensor& value) {
  RewardScores out;
  out.value = value;
  return out;
}

inline RewardScores scores(const std::vector<float>& of) {
  return scores(rewards(of));
}

inline Advantages rows_of(const Rollout& rollout, const RewardScores& of,
                          const EstimatorKnobs& knobs, double clip = 5) {
  return row_advantages(rollout, of, knobs, clip, nullptr);
}

/** 2 prompts (ids 10, 11), 2 roots each, 3 steps; branches K = (2, 3), or a
 * path of two rows. */
inline Rollout small_rollout(bool branches) {
  Rollout rollout;
  rollout.prompts = {{10, "a", ""}, {11, "b", ""}};
  rollout.transitions.resize(3);
  for (int64_t root = 0; root < 4; ++root) {
    if (!branches) rollout.image_prompt.push_back(root / 2);
    for (int64_t step = 0; step < 2; ++step) {
      rollout.state_root.push_back(root);
      rollout.state_prompt.push_back(root / 2);
      rollout.state_step.push_back(step);
      for (int64_t k = 0; k < (branches ? 2 + step : 1); ++k) {
        rollout.row_state.push_back(rollout.states() - 1);
        rollout.row_image.push_back(branches ? rollout.images() : root);
        if (branches) rollout.image_prompt.push_back(root / 2);
      }
    }
  }
  return rollout;
}

/** Trees of one prompt that split in two at steps 0 and 1 and go on without a
 * split at step 2: 2 + 4 + 4 rows and 4 images a root. */
inline Rollout small_tree(int64_t roots) {
  Rollout rollout;
  rollout.prompts = {{10, "a", ""}};
  rollout.transitions.resize(4);
  for (int64_t root = 0; root < roots; ++root) {
    for (int64_t step = 0; step < 3; ++step) {
      const int64_t nodes = int64_t{1} << step;
      const int64_t children = step < 2 ? 2 : 1;
      const int64_t leaves = 4 / (nodes * children);
      for (int64_t node = 0; node < nodes; ++node) {
        rollout.state_root.push_back(root);
        rollout.state_prompt.push_back(0);
        rollout.state_step.push_back(step);
        for (int64_t k = 0; k < children; ++k) {
          rollout.row_state.push_back(rollout.states() - 1);
          rollout.row_image.push_back(4 * root +
                                      (node * children + k) * leaves);
          rollout.row_images.push_back(leaves);
        }
      }
    }
    rollout.image_prompt.insert(rollout.image_prompt.end(), 4, 0);
  }
  return rollout;
}

/** The knobs that small_tree was drawn with. */
inline EstimatorKnobs tree_knobs() {
  EstimatorKnobs knobs;
  knobs.source = EstimatorKnobs::Source::tree;
  knobs.tree.split_steps = {0, 1};
  return knobs;
}

}  // namespace rsm
