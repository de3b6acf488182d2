#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/transition.h"
#include "rsm/paths/path.h"

namespace rsm {

/** How states of one time go on to their pictures. */
struct Continuation {
  Transitions steps;        ///< of the ODE
  std::vector<double> mix;  ///< h / (2 h_before); 0 where nothing is mixed in
};

/** From the `from`-th time of a sampler's grid: its own steps where `count` of
 * them are left, else so many of a second-order solver on a grid of its own
 * (Path::extrapolation). */
Continuation continuation(const Path& path, const std::vector<double>& grid,
                          int64_t from, int64_t count);

}  // namespace rsm
