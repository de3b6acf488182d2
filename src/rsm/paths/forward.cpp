#include "rsm/paths/forward.h"

#include <torch/types.h>

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"

namespace rsm {
namespace {

using Times = PictureKnobs::Times;

/** z with a share u of a normal number below it. */
double normal_quantile(double u) {
  return at::special_ndtri(at::scalar_tensor(u, at::kDouble)).item<double>();
}

double shifted_time(double t, double shift) {
  return shift * t / (1 + (shift - 1) * t);
}

}  // namespace

Transition forward_row(const Path& path, double t) {
  Transition out;
  out.t = t;
  out.t_next = 0;
  out.a_x = 0;
  out.m_y = 1;
  out.s = 1;
  out.diffusion = 1;
  const double noise = path.noise(t);
  out.reach = std::abs(path.prediction(t).y);
  out.delta = path.signal(t) * out.reach / (noise * noise);
  return out;
}

std::vector<double> times_within(const PictureKnobs& knobs,
                                 const std::vector<double>& grid) {
  std::vector<double> out;
  for (const double t : grid) {
    if (t > 0 && t >= knobs.t_min && t <= knobs.t_max) out.push_back(t);
  }
  std::sort(out.begin(), out.end());
  RSM_CHECK(!out.empty(), "[pictures] no step of the sampler has its time in ",
            knobs.t_min, " to ", knobs.t_max,
            " (estimator.pictures.t_min, t_max); widen them, or take other "
            "times than grid");
  return out;
}

double drawn_time(const PictureKnobs& knobs, const std::vector<double>& grid,
                  double u) {
  const double a = knobs.t_min, b = knobs.t_max;
  switch (knobs.times) {
    case Times::uniform:
      return shifted_time(a + (b - a) * u, knobs.shift);
    case Times::power: {
      const double k = knobs.power + 1;
      const double low = std::pow(a, k);
      return shifted_time(std::pow(low + (std::pow(b, k) - low) * u, 1 / k),
                          knobs.shift);
    }
    case Times::logit_normal:
      return std::clamp(
          shifted_time(1 / (1 + std::exp(-normal_quantile(u))), knobs.shift), a,
          b);
    case Times::grid: {
      const auto steps = times_within(knobs, grid);
      const auto count = static_cast<double>(steps.size());
      return steps[static_cast<size_t>(std::min(count * u, count - 1))];
    }
  }
  throw Error("[pictures] times outside their enum");
}

}  // namespace rsm
