#include "rsm/estimators/distance.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/random.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/forward.h"

namespace rsm {
namespace {

/** log p = -(t / p) ((m + c)^p - c^p) of a mean squared error m, p = 1/4,
 * c = 1e-10, and its slope in m. Source: the release of AWM, arXiv 2509.25050.
 */
struct Line {
  double t, m, log_p, slope;
};
constexpr Line kLines[] = {{0.5, 0.5, -1.67547, -0.840896},
                           {0.9, 0.2, -2.39608, -3.00933}};

TEST(Distance, OfARootIsThatOfThePublishedNumbers) {
  const auto method = find_method("awm");
  const auto& knobs = method.estimator.pictures;
  for (const auto& line : kLines) {
    auto d = counted_normal(1, {1, 2, 3, 4}).to(at::kDouble);
    d *= (line.m / d.square().mean()).sqrt();
    const auto at_error = distance_of(knobs, d);
    const auto at_none = distance_of(knobs, at::zeros_like(d));
    // Half of what the strength says of the time is a row's factor.
    const auto row = forward_row(FlowPath(), line.t);
    const double factor = row_factors(method, row, 1).guidance;
    const auto log_p = -factor * (at_error.value - at_none.value);
    const auto slope = -factor * at_error.pull;
    constexpr double kDigits = 5e-6;  // half a unit of the sixth one
    EXPECT_NEAR(log_p.item<double>(), line.log_p, kDigits * -line.log_p);
    EXPECT_NEAR(slope.item<double>(), line.slope, kDigits * -line.slope);
  }
}

}  // namespace
}  // namespace rsm
