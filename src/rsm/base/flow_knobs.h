#pragma once

#include <cstdint>

#include "rsm/base/scalar_network_knobs.h"

namespace rsm {

/** A learnt flow of a path's states, and what its balance says of each step.
 * Source: DAG, arXiv 2406.00633. */
struct FlowKnobs : ScalarNetworkKnobs {
  /** none: there is no flow. balance: steps are trained to make up what their
   * balance lacks. advantage: what it lacks stands in place of a reward. */
  enum class Use { none, balance, advantage };

  FlowKnobs() {
    channels = {8, 8, 8, 16};
    lr = 3e-4;
  }

  Use use = Use::none;
  double reward_scale = 100;
  int64_t ramp = 50;    ///< epochs
  int64_t updates = 2;  ///< of an epoch

  bool operator==(const FlowKnobs&) const = default;
};

}  // namespace rsm
