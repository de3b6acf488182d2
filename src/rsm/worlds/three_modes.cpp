#include "rsm/worlds/three_modes.h"

#include <cmath>
#include <numbers>

namespace rsm {
namespace {

constexpr int64_t kTimesteps = 500;
constexpr double kFirstBeta = 1e-4;
constexpr double kLastBeta = 0.03;
constexpr double kOffset = 3;  ///< of the reward

torch::Tensor mode_means() {
  const double root = std::sqrt(3.0);
  return torch::tensor({3.0, -root, -3.0, -root, 0.0, 2 * root}, at::kDouble)
      .view({3, 2});
}

torch::Tensor reward_slope() { return torch::tensor({-0.5, 0.0}, at::kDouble); }

/** The n-th number of van der Corput's sequence: the digits of n in the base,
 * mirrored at the point. */
double van_der_corput(int64_t n, int64_t base) {
  double out = 0;
  double place = 1;
  for (; n > 0; n /= base) {
    place /= static_cast<double>(base);
    out += static_cast<double>(n % base) * place;
  }
  return out;
}

}  // namespace

ThreeModes::ThreeModes()
    : slope_(reward_slope()),
      reference_(mode_means(), at::zeros({3}, at::kDouble)),
      // exp(a x) moves a unit normal by a, and weighs it by exp(a m).
      tilted_(mode_means() + reward_slope(),
              at::mv(mode_means(), reward_slope())) {}

torch::Tensor ThreeModes::reward(const torch::Tensor& x) const {
  const auto slope = slope_.to(x.options()).view({1, 2, 1});
  return (slope * x).sum(1) + kOffset;
}

torch::Tensor ThreeModes::value(const torch::Tensor& x,
                                const torch::Tensor& signal) const {
  const auto left = 1 - signal.square();                 // [B,1,1]
  const auto gains = at::mv(reference_.means(), slope_)  // [M]
                         .to(x.options())
                         .view({1, -1, 1});
  const auto shares = reference_.log_shares(x, signal);
  const double square = slope_.square().sum().item<double>();
  const auto linear =
      (signal * slope_.to(x.options()).view({1, 2, 1}) * x).sum(1);
  return kOffset + linear + 0.5 * square * left.squeeze(1) +
         (shares + left * gains).logsumexp(1) - shares.logsumexp(1);
}

torch::Tensor ThreeModes::value_gradient(const torch::Tensor& x,
                                         const torch::Tensor& signal) const {
  return signal * (tilted_.mean(x, signal) - reference_.mean(x, signal));
}

torch::Tensor ThreeModes::states(int64_t count, double signal) const {
  constexpr double kTurn = 2 * std::numbers::pi;
  const auto upto = tilted_.log_weights().exp().cumsum(0);
  const auto edges = upto.accessor<double, 1>();
  const auto means = tilted_.means().accessor<double, 2>();
  const auto out = at::empty({count, 2}, at::kDouble);
  auto places = out.accessor<double, 2>();
  for (int64_t n = 1; n <= count; ++n) {
    const double u = van_der_corput(n, 2);
    int64_t mode = 0;
    while (mode + 1 < upto.size(0) && u >= edges[mode]) ++mode;
    const double radius = std::sqrt(-2 * std::log(van_der_corput(n, 3)));
    const double angle = kTurn * van_der_corput(n, 5);
    const double noise[] = {radius * std::cos(angle), radius * std::sin(angle)};
    for (int64_t c = 0; c < 2; ++c) {
      places[n - 1][c] = signal * means[mode][c] + noise[c];
    }
  }
  return out;
}

std::vector<double> ThreeModes::alpha_bars() {
  std::vector<double> out;
  double product = 1;
  for (int64_t i = 0; i < kTimesteps; ++i) {
    product *=
        1 - (kFirstBeta + (kLastBeta - kFirstBeta) * static_cast<double>(i) /
                              static_cast<double>(kTimesteps - 1));
    out.push_back(product);
  }
  return out;
}

}  // namespace rsm
