#pragma once

#include <vector>

#include "rsm/base/picture_knobs.h"
#include "rsm/base/transition.h"
#include "rsm/paths/path.h"

namespace rsm {

// Samples that are noised again: x = signal(t) picture + noise(t) e, where the
// network is to say y_c = target(picture, e).

/** The row of such a state: the step x' = y + eps of a policy whose mean is the
 * output and which drew y_c, so that a = 0, m_y = s = 1 and
 * -log rho = (<(y - y_c)^2> - <(y_old - y_c)^2>) / 2 per latent element. Its
 * reach is the noise beside one whole picture, noise / signal of diffusion
 * models:
 * the predicted picture is off by it times y - y_c. */
Transition forward_row(const Path& path, double t);

/** Those of a sampler's steps that are within the knobs' bounds, cleanest
 * first. Throws rsm::Error where there are none. */
std::vector<double> times_within(const PictureKnobs& knobs,
                                 const std::vector<double>& grid);

/** The time at which a share u in [0,1) of the draws are cleaner, by
 * PictureKnobs; `grid` are those of a sampler's steps, taken by Times::grid. */
double drawn_time(const PictureKnobs& knobs, const std::vector<double>& grid,
                  double u);

}  // namespace rsm
