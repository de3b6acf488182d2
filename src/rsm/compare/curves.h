#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

/** Curves of several runs, and how runs of one setting spread. NaN: a number
 * that is not known; infinity: an event that never came. */
namespace rsm::report {

/** Points in the order of their run. */
struct Curve {
  std::vector<double> x;
  std::vector<double> y;
};

/** A place between two entries of a list. */
struct Crossing {
  size_t from = 0;
  size_t to = 0;
  double share = 0;  ///< of the way between them

  /** Another list's value there, on the straight line. */
  double at(const std::vector<double>& values) const;
};

/** Where `values` first reach `level` from below, or their first entry if that
 * is there already. Entries that are not known are passed over. */
std::optional<Crossing> first_crossing(const std::vector<double>& values,
                                       double level);

/** y where x first reaches `x`; NaN where it never does or begins above. */
double value_at(const Curve& curve, double x);

/** The mean of the curves at every x of any of them that all of them cover.
 * Curves of a single point are left out. */
Curve mean_curve(const std::vector<Curve>& curves);

/** Of the numbers that are known; NaN without any. */
struct SeedStatistics {
  static constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

  int64_t count = 0;
  double mean = kMissing;
  double deviation = kMissing;  ///< the sample's; NaN for fewer than two
  double median = kMissing;     ///< between the middle two of an even count
  double low = kMissing;
  double high = kMissing;
};
SeedStatistics statistics_of(std::vector<double> values);

}  // namespace rsm::report
