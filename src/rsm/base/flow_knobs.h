#pragma once

#include <cstdint>
#include <vector>

namespace rsm {

/** A learnt flow of a path's states, and what its balance says of each step.
 * Source: DAG, arXiv 2406.00633. */
struct FlowKnobs {
  /** none: there is no flow. balance: steps are trained to make up what their
   * balance lacks. advantage: what it lacks stands in place of a reward. */
  enum class Use { none, balance, advantage };

  Use use = Use::none;
  double reward_scale = 100;
  int64_t ramp = 50;  ///< epochs
  std::vector<int64_t> channels = {8, 8, 8, 16};
  int64_t layers = 1;
  double lr = 3e-4;
  double weight_decay = 1e-4;
  double max_grad_norm = 1;
  int64_t updates = 2;  ///< of an epoch

  bool operator==(const FlowKnobs&) const = default;
};

}  // namespace rsm
