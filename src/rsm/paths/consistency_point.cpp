#include "rsm/paths/consistency_point.h"

#include <algorithm>
#include <cmath>

namespace rsm {

PicturePoint consistency_point(const Path& path, double t) {
  constexpr double kTimesteps = 1000, kDistilled = 50;
  constexpr double kStride = kTimesteps / kDistilled;
  constexpr double kTimestepScale = 10, kSigma = 0.5;  // LCMScheduler's
  const double number =
      std::clamp(std::round((kTimesteps * t + 1) / kStride), 1.0, kDistilled);
  const double timestep = kStride * number - 1;
  const double at = timestep / kTimesteps;
  const double scaled = kTimestepScale * timestep;
  const double sum = scaled * scaled + kSigma * kSigma;
  const double skip = kSigma * kSigma / sum, out = scaled / std::sqrt(sum);
  const auto [x, y] = path.prediction(at);
  return {at, {out * x + skip, out * y}};
}

}  // namespace rsm
