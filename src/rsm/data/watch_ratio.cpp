#include "rsm/data/watch_ratio.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace rsm {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
/** Logged as a logarithm. */
constexpr const char* kOutputs = "outputs";
constexpr std::array<const char*, 3> kRunsAway = {"edges", "saturation",
                                                  kOutputs};

/** Better the lower they are. */
constexpr std::array<const char*, 2> kWorseIfMore = {"niqe", "brisque"};

double find(const WatchNumbers& numbers, const std::string& name) {
  const auto found = numbers.find(name);
  return found == numbers.end() ? kMissing : found->second;
}

}  // namespace

double watch_ratio(const std::string& name, const WatchNumbers& first,
                   const WatchNumbers& now) {
  const double before = find(first, name), after = find(now, name);
  if (name == kOutputs) return std::exp(after - before);
  return before > 0 ? after / before : kMissing;
}

double kept_share(const std::string& name, double ratio) {
  const bool worse_if_more = std::find(kWorseIfMore.begin(), kWorseIfMore.end(),
                                       name) != kWorseIfMore.end();
  if (worse_if_more && ratio <= 1) return 1;
  if (std::isnan(ratio) || ratio <= 1) return ratio;
  const bool runs_away =
      std::find(kRunsAway.begin(), kRunsAway.end(), name) != kRunsAway.end();
  return runs_away || worse_if_more ? 1 / ratio : 1;
}

double least_kept(const WatchNumbers& first, const WatchNumbers& now) {
  double least = kMissing;
  for (const auto& [name, number] : first) {
    least = std::fmin(least, kept_share(name, watch_ratio(name, first, now)));
  }
  return least;
}

}  // namespace rsm
