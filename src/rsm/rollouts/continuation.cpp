#include "rsm/rollouts/continuation.h"

#include <iterator>

namespace rsm {

Continuation continuation(const Path& path, const std::vector<double>& grid,
                          int64_t from, int64_t count) {
  const bool cheap = count < std::ssize(grid) - 1 - from;
  const auto times = cheap
                         ? path.times_from(grid[from], count)
                         : std::vector<double>(grid.begin() + from, grid.end());
  Continuation out;
  for (int64_t k = 0; k < count; ++k) {
    out.steps.push_back(path.ode_step(times, k));
    out.mix.push_back(cheap && k > 0 ? path.extrapolation(times, k) : 0);
  }
  return out;
}

}  // namespace rsm
