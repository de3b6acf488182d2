#pragma once

#include "rsm/paths/path.h"

namespace rsm {

/** How a network is asked for the picture that x of a time leads to. */
struct PicturePoint {
  double t;  ///< at which it is asked
  Path::Prediction prediction;
};

/** How a latent consistency model is asked, of a path of 1000 timesteps: at the
 * nearest of the 50 times that it was distilled at, and so that at t = 0 the
 * picture would be x. Sources: LCM, arXiv 2310.04378, and LCM-LoRA, arXiv
 * 2311.05556, as diffusers' LCMScheduler has them. */
PicturePoint consistency_point(const Path& path, double t);

}  // namespace rsm
