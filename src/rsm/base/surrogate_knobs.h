#pragma once

#include <cstdint>

#include "rsm/base/scalar_network_knobs.h"

namespace rsm {

/** A scorer of latents that learns from the run's own judged pictures. Its
 * slope foretells a part of what a row's noise does to the reward, a control
 * variate of advantage times noise (Q-Prop, arXiv 1611.02247). */
struct SurrogateKnobs : ScalarNetworkKnobs {
  /** Where the slope is taken. none: there is no surrogate. picture: at the
   * picture predicted from a state, its output held fixed. network: through the
   * network, at the mean of the state's rows. */
  enum class At { none, picture, network };

  SurrogateKnobs() { channels = {8, 16, 32}; }

  At at = At::none;
  double coefficient = 0;  ///< 0: fitted
  double decay = 0.9;      ///< of an epoch
  int64_t updates = 20;    ///< of an epoch

  bool operator==(const SurrogateKnobs&) const = default;
};

}  // namespace rsm
