#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/paths/path.h"

namespace rsm {

/** A method's numbers at one of its steps, in the score form
 *
 *     C1 |s - (s_ref + gamma Psi)|^2 + C2 |s - s_old|^2
 *
 * of objective/rows.h. */
struct TimeFactors {
  int64_t step = 0;
  double t = 0;
  int64_t rows = 0;  ///< K_i
  double g = 0;      ///< on -A log rho
  double h = 0;      ///< of strength.h, not normalised
  double c1 = 0;     ///< 0 where nothing is pulled to the reference
  /** These are 0 where there are no rows: an anchor, if any, is all there is.
   */
  double gamma = 0, c2 = 0;
  double c2_relative = 0;  ///< C2 / C1; infinite where C1 alone is 0
  double clip = 0;         ///< of |log rho|, a latent element; NaN: no clipping
};

/** A method of pictures with a draw for every step; others as they are. */
Method with_draws(Method method, int64_t steps);

/** Of every step that can be trained: the production factors at the
 * `transitions` of the method's plan. */
std::vector<TimeFactors> factors_by_time(const Method& method,
                                         const Transitions& transitions);

}  // namespace rsm
