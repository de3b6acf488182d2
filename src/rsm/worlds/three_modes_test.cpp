#include "rsm/worlds/three_modes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace rsm {
namespace {

// Closed forms in float64; golden numbers have 12 digits or more.
constexpr double kExact = 1e-9;

/** States that have been computed elsewhere, with their value gradients.
 * Source: the benchmark's table of points, in double by another program. */
struct Golden {
  int64_t number;
  int64_t timestep;
  double x[2];
  double gradient[2];
};
const std::vector<Golden> kGolden = {{1,
                                      389,
                                      {0.110722862345, 1.23786884078},
                                      {-0.242530783067, -0.0981493871187}},
                                     {2,
                                      389,
                                      {-1.07586746922, 0.357424545213},
                                      {-0.227463810701, -0.10432722728}},
                                     {3,
                                      389,
                                      {-2.04327179585, -1.40405663897},
                                      {-0.188068954261, -0.0585513004677}},
                                     {37,
                                      389,
                                      {-1.72937050441, -0.0674848611456},
                                      {-0.205028216917, -0.0952088663967}},
                                     {100,
                                      389,
                                      {0.958405841669, 0.0942446499964},
                                      {-0.297008427977, -0.0569552468281}},
                                     {1,
                                      149,
                                      {-2.02483138657, 0.181043566086},
                                      {-0.383464589651, -0.0488228971866}},
                                     {2,
                                      149,
                                      {-3.21142171814, -0.699400729485},
                                      {-0.354793484099, -0.000158164614973}},
                                     {3,
                                      149,
                                      {-4.17882604477, -2.46088191366},
                                      {-0.354698430357, -3.05583842675e-08}},
                                     {37,
                                      149,
                                      {-3.86492475332, -1.12431013584},
                                      {-0.354703333457, -8.22107485088e-06}},
                                     {100,
                                      149,
                                      {-1.17714840725, -0.962580624702},
                                      {-0.379037841596, -0.00448368472644}}};

double signal_at(int64_t timestep) {
  return std::sqrt(ThreeModes::alpha_bars()[timestep]);
}

torch::Tensor as_signal(double signal) {
  return at::full({1, 1, 1}, signal, at::kDouble);
}

TEST(ThreeModes, ScheduleIsThePublishedOne) {
  const auto alpha_bars = ThreeModes::alpha_bars();
  ASSERT_EQ(alpha_bars.size(), 500U);
  EXPECT_NEAR(alpha_bars[0], 1 - 1e-4, kExact);
  EXPECT_NEAR(alpha_bars[389], 0.00984824897, kExact);
  EXPECT_NEAR(alpha_bars[379], 0.01244606794, kExact);
  EXPECT_NEAR(alpha_bars[149], 0.50324367954, kExact);
  EXPECT_NEAR(alpha_bars[139], 0.54951970215, kExact);
}

TEST(ThreeModes, StatesAndGradientsAreTheGoldenOnes) {
  const ThreeModes world;
  for (const auto& golden : kGolden) {
    SCOPED_TRACE(golden.number * 1000 + golden.timestep);
    const double signal = signal_at(golden.timestep);
    const auto x = world.states(100, signal)[golden.number - 1];
    const auto gradient =
        world.value_gradient(x.view({1, 2, 1}), as_signal(signal)).flatten();
    for (int64_t c = 0; c < 2; ++c) {
      EXPECT_NEAR(x[c].item<double>(), golden.x[c], kExact);
      EXPECT_NEAR(gradient[c].item<double>(), golden.gradient[c], kExact);
    }
  }
}

TEST(ThreeModes, ValuesAreTheGoldenOnes) {
  const ThreeModes world;
  const std::vector<std::pair<int64_t, double>> golden = {
      {389, 3.6150558318396}, {149, 4.5117929002167}};
  for (const auto& [timestep, value] : golden) {
    const double signal = signal_at(timestep);
    const auto x = world.states(1, signal).view({1, 2, 1});
    EXPECT_NEAR(world.value(x, as_signal(signal)).item<double>(), value,
                kExact);
  }
}

TEST(ThreeModes, TheGradientOfTheValueIsTheDifferenceOfScores) {
  const ThreeModes world;
  for (const int64_t timestep : {9, 149, 389}) {
    const auto signal = as_signal(signal_at(timestep));
    const auto x = world.states(50, signal_at(timestep))
                       .t()
                       .contiguous()
                       .view({1, 2, 50})
                       .requires_grad_(true);
    const auto gradient =
        torch::autograd::grad({world.value(x, signal).sum()}, {x})[0];
    const auto at = x.detach();
    EXPECT_TRUE(at::allclose(world.value_gradient(at, signal), gradient, kExact,
                             kExact));
    EXPECT_TRUE(at::allclose(
        world.tilted().score(at, signal) - world.reference().score(at, signal),
        gradient, kExact, kExact));
  }
}

TEST(ThreeModes, TheValueIsThatOfAnIntegral) {
  // A sum over a grid is as good as the integral of what falls like a normal
  // density: exp(-2 pi^2 (0.5 / 0.1)^2) at its narrowest.
  const ThreeModes world;
  const double signal = signal_at(149);
  const auto line = at::arange(-14, 14, 0.1, at::kDouble);
  const auto grid = at::stack(at::meshgrid({line, line}, "ij"))
                        .view({1, 2, line.size(0) * line.size(0)});
  const auto modes = world.reference().means().view({1, 3, 2, 1});
  const auto prior = -0.5 * (grid.unsqueeze(1) - modes).square().sum(2);
  const auto states = world.states(3, signal);
  for (int64_t n = 0; n < 3; ++n) {
    const auto x = states[n].view({1, 2, 1});
    const auto given =
        -0.5 * (x - signal * grid).square().sum(1) / (1 - signal * signal);
    const auto posterior = prior.logsumexp(1) + given;
    const auto value =
        (posterior + world.reward(grid)).logsumexp(1) - posterior.logsumexp(1);
    EXPECT_NEAR(world.value(x, as_signal(signal)).item<double>(),
                value.item<double>(), kExact);
  }
}

}  // namespace
}  // namespace rsm
