#include "rsm/paths/adams_solver.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/paths/ddim_path.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/transitions.h"

namespace rsm {
namespace {

using nlohmann::json;

// Both sides in double; Lagrange's polynomials of order 4 lose some digits, and
// in closed loop the network passes on a step's error to the next.
constexpr double kOpenRounding = 1e-10, kClosedRounding = 1e-8;

torch::Tensor scalar(const json& value) {
  return at::full({1, 1, 1, 1}, value.get<double>(), at::kDouble);
}

/** The state that a row of a case leads to. */
void expect_next(const json& of_case, const json& row, const torch::Tensor& x) {
  const double rounding =
      of_case["closed"].get<bool>() ? kClosedRounding : kOpenRounding;
  const double value = row["next"].get<double>();
  EXPECT_NEAR(x.item<double>(), value,
              rounding * std::max(1.0, std::abs(value)));
}

/** What the network says at a row: what is given, or in closed loop a function
 * of where we are. */
torch::Tensor output_of(const json& of_case, const json& row,
                        const torch::Tensor& x, double t) {
  return of_case["closed"].get<bool>() ? (3 * x + 4 * t).sin() + x / 2
                                       : scalar(row["y"]);
}

std::unique_ptr<Path> path_of(const json& of_case) {
  if (of_case["flow"].get<bool>()) return std::make_unique<FlowPath>();
  return std::make_unique<DdimPath>();
}

void expect_adams(const json& found) {
  const auto times = found["times"].get<std::vector<double>>();
  const StochasticAdams settings = {
      .tau = found["tau"].get<double>(),
      .from = found["interval"][0].get<double>(),
      .to = found["interval"][1].get<double>(),
      .predictor_order = found["predictor_order"].get<int64_t>(),
      .corrector_order = found["corrector_order"].get<int64_t>()};
  SCOPED_TRACE(cat("flow ", found["flow"].dump(), ", tau ", settings.tau,
                   ", orders ", settings.predictor_order, ", ",
                   settings.corrector_order));
  const auto path = path_of(found);
  AdamsSolver solver(*path, times, settings);
  auto x = scalar(found["start"]);
  for (size_t i = 0; i < found["rows"].size(); ++i) {
    const auto& row = found["rows"][i];
    const bool noisy = solver.draws_noise(static_cast<int64_t>(i));
    x = solver.step(x, output_of(found, row, x, times[i]),
                    noisy ? scalar(row["eps"]) : torch::Tensor());
    expect_next(found, row, x);
  }
  EXPECT_THROW(solver.step(x, x, x), Error);
}

/** The multistep solver without noise: of diffusion models diffusers'
 * LMSDiscreteScheduler of order 2, of flows the formula itself, since diffusers
 * has no such solver for them. */
void expect_bashforth(const json& found) {
  SCOPED_TRACE(
      cat("flow ", found["flow"].dump(), ", closed ", found["closed"].dump()));
  const auto path = path_of(found);
  const auto times = found["times"].get<std::vector<double>>();
  auto x = scalar(found["start"]);
  torch::Tensor before;
  for (size_t k = 0; k < found["rows"].size(); ++k) {
    const auto& row = found["rows"][k];
    const auto i = static_cast<int64_t>(k);
    const auto y = output_of(found, row, x, times[k]);
    const auto output =
        i > 0 ? y + path->extrapolation(times, i) * (y - before) : y;
    x = step(path->ode_step(times, i), x, output, {});
    before = y;
    expect_next(found, row, x);
  }
}

TEST(AdamsSolver, StepsAsDiffusersMultistepSolversDo) {
  const TemporaryFolder folder;
  run_python("multistep_peer.py", folder / "steps.json");
  const json found = read_json(folder / "steps.json");
  ASSERT_EQ(found["adams"].size(), 20u);
  for (const auto& one : found["adams"]) expect_adams(one);
  ASSERT_EQ(found["bashforth"].size(), 8u);
  for (const auto& one : found["bashforth"]) expect_bashforth(one);
}

TEST(AdamsSolver, WithOrderOneAndNoCorrectorIsTheOde) {
  // Data prediction in lambda is exact in the noise: DDIM, and Euler of flows.
  const StochasticAdams first = {
      .tau = 0, .predictor_order = 1, .corrector_order = 0};
  const FlowPath flow;
  const DdimPath diffusion;
  for (const Path* path : {static_cast<const Path*>(&flow),
                           static_cast<const Path*>(&diffusion)}) {
    const auto times = path->times(10);
    AdamsSolver solver(*path, times, first);
    auto x = scalar(0.7), same = x;
    for (int64_t i = 0; i < 10; ++i) {
      EXPECT_FALSE(solver.draws_noise(i));
      const auto y = scalar(std::sin(static_cast<double>(i)));
      x = solver.step(x, y, {});
      same = step(path->ode_step(times, i), same, y, {});
      EXPECT_NEAR(x.item<double>(), same.item<double>(), kOpenRounding);
    }
  }
}

}  // namespace
}  // namespace rsm
