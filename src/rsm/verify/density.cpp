#include "rsm/verify/density.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/random.h"

namespace rsm::verify {
namespace {

const double kLogTwoPi = std::log(2 * std::numbers::pi);

torch::Tensor numbers(const std::vector<double>& values) {
  return torch::tensor(values, at::kDouble);
}

/** [N,K] squared distances of points [N,D] to means [K,D]. */
torch::Tensor squared_distances(const torch::Tensor& points,
                                const torch::Tensor& means) {
  return (points.unsqueeze(1) - means).square().sum(2);
}

/** [count] even numbers between 0 and 1. */
torch::Tensor uniform(uint64_t seed, uint64_t which, int64_t count) {
  const auto z =
      counted_normal(counted_seed(seed, Purpose::data, {which}), {count});
  return at::special_ndtr(z.to(at::kDouble));
}

}  // namespace

torch::Tensor PointReward::at(const torch::Tensor& points) const {
  if (kind == Kind::step) {
    return (points.select(1, 0) > number).to(points.scalar_type());
  }
  const auto own = numbers(vector).to(points.options());
  return kind == Kind::linear ? (points * own).sum(1)
                              : -0.5 * number * (points - own).square().sum(1);
}

std::string PointReward::name() const {
  switch (kind) {
    case Kind::linear:
      return "linear";
    case Kind::quadratic:
      return "quadratic";
    case Kind::step:
      return "step";
  }
  throw Error("[verify] a reward outside its enum");
}

Density::Density(torch::Tensor log_share, torch::Tensor mean,
                 torch::Tensor variance)
    : log_share_(std::move(log_share)),
      mean_(std::move(mean)),
      variance_(std::move(variance)) {}

Density::Density(const std::vector<double>& shares,
                 const std::vector<std::vector<double>>& means,
                 const std::vector<double>& variances) {
  const auto positive = [](double value) { return value > 0; };
  RSM_CHECK(!shares.empty() && shares.size() == means.size() &&
                shares.size() == variances.size() &&
                std::all_of(shares.begin(), shares.end(), positive) &&
                std::all_of(variances.begin(), variances.end(), positive),
            "[verify] ", shares.size(), " shares, ", means.size(),
            " means and ", variances.size(),
            " variances; as many of each, shares and variances above 0, are "
            "needed");
  std::vector<torch::Tensor> rows;
  for (const auto& mean : means) {
    RSM_CHECK(!mean.empty() && mean.size() == means[0].size(),
              "[verify] means of ", mean.size(), " and ", means[0].size(),
              " coordinates; all of one number are needed");
    rows.push_back(numbers(mean));
  }
  log_share_ = numbers(shares).log().log_softmax(0);
  mean_ = at::stack(rows);
  variance_ = numbers(variances);
}

torch::Tensor Density::step_mass() const {
  const auto z = (mean_.select(1, 0) - edge_) / variance_.sqrt();
  return std::expm1(height_) * at::special_ndtr(z) + 1;
}

torch::Tensor Density::log_at(const torch::Tensor& points) const {
  const auto d = static_cast<double>(dimensions());
  const auto parts = log_share_ -
                     0.5 * squared_distances(points, mean_) / variance_ -
                     0.5 * d * (variance_.log() + kLogTwoPi);
  const auto above = (points.select(1, 0) > edge_).to(at::kDouble);
  return parts.logsumexp(1) + height_ * above -
         (log_share_ + step_mass().log()).logsumexp(0);
}

torch::Tensor Density::sample(int64_t count, uint64_t seed) const {
  const auto ends =
      (log_share_ + step_mass().log()).softmax(0).cumsum(0).contiguous();
  const auto part = at::searchsorted(ends, uniform(seed, 0, count))
                        .clamp_max(mean_.size(0) - 1);
  const auto mean = mean_.index_select(0, part);
  const auto deviation = variance_.sqrt().index_select(0, part);
  auto z = counted_normal(counted_seed(seed, Purpose::data, {1}),
                          {count, dimensions()})
               .to(at::kDouble);
  // The first coordinate's distribution, turned round: below the edge as it
  // is, above it e^height as dense.
  const auto below = at::special_ndtr((edge_ - mean.select(1, 0)) / deviation);
  const auto mass = step_mass().index_select(0, part);
  const auto at = uniform(seed, 2, count) * mass;
  const auto share =
      at::where(at < below, at, below + (at - below) * std::exp(-height_));
  constexpr double kEdge = 1e-15;
  z.select(1, 0).copy_(at::special_ndtri(share.clamp(kEdge, 1 - kEdge)));
  return mean + deviation.unsqueeze(1) * z;
}

torch::Tensor Density::posterior_mean(const torch::Tensor& x,
                                      const torch::Tensor& signal,
                                      const torch::Tensor& noise) const {
  const auto here = [&](const torch::Tensor& constant) {
    return constant.to(x.options());
  };
  const auto a = signal.unsqueeze(1), n = noise.unsqueeze(1);  // [N,1]
  const auto mean = here(mean_);                               // [K,D]
  const auto variance = here(variance_);                       // [K]
  const auto whole = a * a * variance + n * n;                 // [N,K]
  const auto off = x.unsqueeze(1) - a.unsqueeze(2) * mean;     // [N,K,D]
  auto score = here(log_share_) - 0.5 * off.square().sum(2) / whole -
               0.5 * static_cast<double>(dimensions()) * whole.log();
  auto centre = mean + (a * variance / whole).unsqueeze(2) * off;
  if (height_ != 0) {
    const double gain = std::expm1(height_);
    const auto deviation = variance.sqrt() * n / whole.sqrt();
    const auto z = (centre.select(2, 0) - edge_) / deviation;
    const auto mass = gain * at::special_ndtr(z) + 1;
    const auto density =
        (-0.5 * z.square()).exp() / std::sqrt(2 * std::numbers::pi);
    score = score + mass.log();
    const auto moved = gain * deviation * density / mass;  // [N,K]
    const auto axis =
        at::eye(1, dimensions(), x.options()).view({1, 1, dimensions()});
    centre = centre + moved.unsqueeze(2) * axis;
  }
  return (score.softmax(1).unsqueeze(2) * centre).sum(1);
}

Density Density::unnormalised(const PointReward& reward,
                              double strength) const {
  RSM_CHECK(height_ == 0,
            "[verify] a density with a step is tilted again; tilt the mixture "
            "itself");
  if (reward.kind == PointReward::Kind::step) {
    Density out(log_share_, mean_, variance_);
    out.height_ = strength;
    out.edge_ = reward.number;
    return out;
  }
  const auto own = numbers(reward.vector);
  RSM_CHECK(own.numel() == dimensions(), "[verify] a reward of ", own.numel(),
            " coordinates for points of ", dimensions());
  const auto v = variance_;
  if (reward.kind == PointReward::Kind::linear) {
    const auto slope = strength * own;
    return {log_share_ + mean_.matmul(slope) + 0.5 * v * slope.square().sum(),
            mean_ + v.unsqueeze(1) * slope, v};
  }
  const double k = strength * reward.number;
  const auto wider = 1 + k * v;
  RSM_CHECK(wider.min().item<double>() > 0,
            "[verify] a quadratic reward times ", strength,
            " outgrows the density; no tilt has a finite mass then");
  const auto far = (mean_ - own).square().sum(1);
  return {log_share_ - 0.5 * static_cast<double>(dimensions()) * wider.log() -
              0.5 * k * far / wider,
          (mean_ + k * v.unsqueeze(1) * own) / wider.unsqueeze(1), v / wider};
}

Density Density::tilted(const PointReward& reward, double strength) const {
  auto out = unnormalised(reward, strength);
  out.log_share_ = out.log_share_.log_softmax(0);
  return out;
}

double Density::log_mass(const PointReward& reward, double strength) const {
  const auto out = unnormalised(reward, strength);
  return (out.log_share_ + out.step_mass().log()).logsumexp(0).item<double>();
}

double Density::tilted_reward(const PointReward& reward,
                              double strength) const {
  constexpr double kStep = 1e-4;
  return (log_mass(reward, strength + kStep) -
          log_mass(reward, strength - kStep)) /
         (2 * kStep);
}

double Density::tilted_kl(const PointReward& reward, double strength) const {
  return strength * tilted_reward(reward, strength) -
         log_mass(reward, strength);
}

}  // namespace rsm::verify
