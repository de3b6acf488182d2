#include "rsm/rollouts/solve.h"

#include <utility>

#include "rsm/paths/adams_solver.h"
#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

torch::Tensor solved_by_steps(bool extrapolates, const Path& path,
                              const std::vector<double>& times, torch::Tensor x,
                              const OutputAt& output) {
  torch::Tensor before;
  for (int64_t i = 0; i + 1 < std::ssize(times); ++i) {
    const auto y = output(x, i);
    x = step(path.ode_step(times, i), x,
             extrapolates && i > 0
                 ? y + path.extrapolation(times, i) * (y - before)
                 : y,
             {});
    before = y;
  }
  return x;
}

torch::Tensor solved_by_adams(const StochasticAdams& adams, const Path& path,
                              const std::vector<double>& times, torch::Tensor x,
                              const OutputAt& output, const NoiseAt& noise) {
  AdamsSolver solver(path, times, adams);
  for (int64_t i = 0; i + 1 < std::ssize(times); ++i) {
    const auto y = output(x, i);
    x = solver.step(x, y, solver.draws_noise(i) ? noise(i) : torch::Tensor());
  }
  return x;
}

}  // namespace

torch::Tensor solved(const Solving& solving, const Path& path,
                     const std::vector<double>& times, torch::Tensor x,
                     const OutputAt& output, const NoiseAt& noise) {
  if (solving.solver == Solver::sa) {
    return solved_by_adams(solving.adams, path, times, std::move(x), output,
                           noise);
  }
  return solved_by_steps(solving.solver == Solver::multistep, path, times,
                         std::move(x), output);
}

}  // namespace rsm
