#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace rsm {

/** A standard deviation below this, or Moments::rounding(), is none. */
constexpr double kDeadSpread = 1e-12;

/** Mean and population standard deviation of some rewards; zeros of none. */
struct Moments {
  int64_t count = 0;
  double mean = 0;
  double deviation = 0;

  /** More than adding up `count` rewards of this size can be wrong by: what is
   * nearer to the mean may be equal to it. */
  double rounding() const {
    return static_cast<double>(count) * std::numeric_limits<double>::epsilon() *
           std::hypot(mean, deviation);
  }

  /** The deviation with squares divided by count - 1; 0 for less than two. */
  double unbiased() const {
    const auto n = static_cast<double>(count);
    return count < 2 ? 0 : deviation * std::sqrt(n / (n - 1));
  }
};

/** Two passes, so that equal rewards have no deviation. */
inline Moments moments_of(const std::vector<double>& rewards) {
  Moments out;
  if (rewards.empty()) return out;
  out.count = static_cast<int64_t>(rewards.size());
  const auto n = static_cast<double>(out.count);
  for (const double r : rewards) out.mean += r;
  out.mean /= n;
  double squares = 0;
  for (const double r : rewards) squares += (r - out.mean) * (r - out.mean);
  out.deviation = std::sqrt(squares / n);
  return out;
}

}  // namespace rsm
