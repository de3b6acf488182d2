#include "rsm/verify/distances.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "rsm/base/error.h"

namespace rsm::verify {
namespace {

constexpr int64_t kDirections = 32;
constexpr int64_t kLineCells = 40;
constexpr int64_t kPlaneCells = 16;  ///< of a side
constexpr int64_t kFiner = 8;        ///< points of a cell's side
constexpr double kLeast = 1e-6;

/** [D,directions] of unit length. */
torch::Tensor directions(int64_t dimensions) {
  if (dimensions == 1) return at::ones({1, 1}, at::kDouble);
  const auto angle =
      at::arange(kDirections, at::kDouble) * (std::numbers::pi / kDirections);
  return at::stack({angle.cos(), angle.sin()});
}

/** The midpoints of `count` even parts of a range. */
torch::Tensor midpoints(double low, double width, int64_t count) {
  return low + (at::arange(count, at::kDouble) + 0.5) * (width / double(count));
}

}  // namespace

Profile::Profile(const torch::Tensor& points) {
  RSM_CHECK(points.dim() == 2 && points.size(0) > 0 &&
                (points.size(1) == 1 || points.size(1) == 2),
            "[verify] a cloud ", points.sizes(),
            "; points of a line or a plane, [N,1] or [N,2], are needed");
  const auto along = points.to(at::kDouble).matmul(directions(points.size(1)));
  sorted_ = std::get<0>(along.t().contiguous().sort(1));
}

double Profile::distance_to(const Profile& other) const {
  RSM_CHECK(sorted_.sizes() == other.sorted_.sizes(), "[verify] clouds of ",
            sorted_.size(1), " and ", other.sorted_.size(1),
            " points, seen along ", sorted_.size(0), " and ",
            other.sorted_.size(0), " directions; as many of both are needed");
  return (sorted_ - other.sorted_).abs().mean().item<double>();
}

Cells::Cells(const Density& density, const torch::Tensor& points) {
  const int64_t dimensions = density.dimensions();
  RSM_CHECK(points.dim() == 2 && points.size(1) == dimensions &&
                (dimensions == 1 || dimensions == 2),
            "[verify] points ", points.sizes(), " for a density of ",
            dimensions, " coordinates; [N,D], D 1 or 2, are needed");
  side_ = dimensions == 1 ? kLineCells : kPlaneCells;
  std::vector<torch::Tensor> fine;
  double volume = 1;
  for (int64_t d = 0; d < dimensions; ++d) {
    const double low = points.select(1, d).min().item<double>();
    const double range = points.select(1, d).max().item<double>() - low;
    low_.push_back(low);
    width_.push_back(range / static_cast<double>(side_));
    fine.push_back(midpoints(low, range, side_ * kFiner));
    volume *= range / static_cast<double>(side_ * kFiner);
  }
  const auto grid = at::stack(at::meshgrid(fine, "ij"), -1);
  auto each = density.log_at(grid.view({-1, dimensions})).exp() * volume;
  each = dimensions == 1
             ? each.view({side_, kFiner}).sum(1)
             : each.view({side_, kFiner, side_, kFiner}).sum({1, 3}).flatten();
  const auto rest = (1 - each.sum()).clamp_min(0).view({1});
  probability_ = at::cat({each, rest}).clamp_min(kLeast);
}

double Cells::kl_of(const torch::Tensor& points) const {
  const auto all = points.to(at::kDouble);
  auto cell = at::zeros({all.size(0)}, at::kLong);
  auto inside = at::ones({all.size(0)}, at::kBool);
  for (size_t d = 0; d < low_.size(); ++d) {
    const auto place =
        ((all.select(1, static_cast<int64_t>(d)) - low_[d]) / width_[d])
            .floor();
    inside = inside.logical_and(place >= 0).logical_and(place < side_);
    cell = cell * side_ + place.clamp(0, side_ - 1).to(at::kLong);
  }
  cell = at::where(inside, cell, at::full_like(cell, count() - 1));
  const auto share = at::bincount(cell, {}, count()).to(at::kDouble) /
                     static_cast<double>(all.size(0));
  return at::xlogy(share, share / probability_).sum().item<double>();
}

}  // namespace rsm::verify
