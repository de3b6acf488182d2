#include "rsm/paths/consistency_point.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/paths/ddim_path.h"

namespace rsm {
namespace {

/** A timestep, the nearest of LCM's, and of x and y what they predict. */
struct Line {
  int64_t timestep, asked;
  double x, y;
};

/** Of diffusers' LCMScheduler with Stable Diffusion 1.5's betas, its alphas
 * in float64. */
TEST(ConsistencyPoint, IsThatOfDiffusersScheduler) {
  const DdimPath path;
  for (const auto& line :
       std::vector<Line>{{1, 19, 1.0090014413229944, -0.13445020939812924},
                         {21, 19, 1.0090014413229944, -0.13445020939812924},
                         {30, 39, 1.0190860633772785, -0.19630256793528933},
                         {481, 479, 1.810430397707057, -1.5091912391690825},
                         {981, 979, 13.004825087910895, -12.966320815941636},
                         {999, 999, 14.648813528678206, -14.614641211028749}}) {
    const auto point =
        consistency_point(path, static_cast<double>(line.timestep) / 1000);
    EXPECT_EQ(std::llround(1000 * point.t), line.asked);
    EXPECT_NEAR(point.prediction.x, line.x, 1e-6 * line.x) << line.timestep;
    EXPECT_NEAR(point.prediction.y, line.y, -1e-6 * line.y) << line.timestep;
  }
}

}  // namespace
}  // namespace rsm
