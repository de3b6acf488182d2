#include "rsm/compare/curves.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace rsm::report {
namespace {

/** The points of which both numbers are known. */
Curve known_points(const Curve& curve) {
  Curve out;
  for (size_t i = 0; i < std::min(curve.x.size(), curve.y.size()); ++i) {
    if (!std::isfinite(curve.x[i]) || !std::isfinite(curve.y[i])) continue;
    out.x.push_back(curve.x[i]);
    out.y.push_back(curve.y[i]);
  }
  return out;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) /
         static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values, double mean) {
  if (values.size() < 2 || !std::isfinite(mean))
    return SeedStatistics::kMissing;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size() - 1));
}

double median_of_sorted(const std::vector<double>& values) {
  const size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) return values[middle];
  return (values[middle - 1] + values[middle]) / 2;
}

}  // namespace

double Crossing::at(const std::vector<double>& values) const {
  return std::lerp(values[from], values[to], share);
}

std::optional<Crossing> first_crossing(const std::vector<double>& values,
                                       double level) {
  std::optional<size_t> before;
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isnan(values[i])) continue;
    if (values[i] >= level) {
      if (!before) return Crossing{i, i, 0};
      const double rise = values[i] - values[*before];
      return Crossing{*before, i, (level - values[*before]) / rise};
    }
    before = i;
  }
  return std::nullopt;
}

double value_at(const Curve& curve, double x) {
  const auto crossing = first_crossing(curve.x, x);
  if (!crossing) return SeedStatistics::kMissing;
  const bool begins_above =
      crossing->from == crossing->to && curve.x[crossing->from] > x;
  return begins_above ? SeedStatistics::kMissing : crossing->at(curve.y);
}

Curve mean_curve(const std::vector<Curve>& curves) {
  std::vector<Curve> used;
  std::vector<double> grid;
  double low = -std::numeric_limits<double>::infinity();
  double high = -low;
  for (const auto& curve : curves) {
    auto known = known_points(curve);
    if (known.x.size() < 2) continue;
    low = std::max(low, known.x.front());
    high = std::min(high, *std::max_element(known.x.begin(), known.x.end()));
    grid.insert(grid.end(), known.x.begin(), known.x.end());
    used.push_back(std::move(known));
  }
  std::sort(grid.begin(), grid.end());
  grid.erase(std::unique(grid.begin(), grid.end()), grid.end());
  Curve out;
  for (const double x : grid) {
    if (x < low || x > high) continue;
    std::vector<double> there;
    for (const auto& curve : used) there.push_back(value_at(curve, x));
    out.x.push_back(x);
    out.y.push_back(mean_of(there));
  }
  return out;
}

SeedStatistics statistics_of(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) return {};
  SeedStatistics out;
  out.count = static_cast<int64_t>(values.size());
  out.mean = mean_of(values);
  out.deviation = deviation_of(values, out.mean);
  std::sort(values.begin(), values.end());
  out.median = median_of_sorted(values);
  out.low = values.front();
  out.high = values.back();
  return out;
}

}  // namespace rsm::report
