#pragma once

#include <cstdint>
#include <vector>

#include "rsm/worlds/shapes_world.h"

/** The judge of the shapes world: finds shapes in any picture and compares them
 * with a caption, as GenEval does with a detector (Ghosh et al., 2023).
 *
 * Images are 3x32x32 floats in [-1,1], channel after channel; other finite
 * values are clipped first. Of pictures drawn from captions about 2 in 10,000
 * fail: a circle of 5.5 px can fill 109 of 11 x 11 pixels and pass for a
 * square. See docs/rewards.md. */
namespace rsm::shapes {

/** Something in front of the background. */
struct Detected {
  int shape = -1;  ///< -1: no shape
  int color = -1;  ///< -1: no colour prevails
  double cx = 0;   ///< mean column and row of its pixels, from 0
  double cy = 0;
  int64_t area = 0;  ///< pixels at least half covered
};

/** In the order of their first pixel, row by row. */
std::vector<Detected> detect(const float* image);

struct Verdict {
  /** In [0,1]: matched parts / max(required, found) objects: an object counts
   * half for its shape and half for its colour, or all for its shape where no
   * colour is asked. A wrong relation halves it. */
  double graded = 0;
  bool strict = false;  ///< all is right and nothing is there besides
};

/** Objects required by the caption are matched greedily: exact ones first, then
 * half-right ones, each to the first object found that is still free. */
Verdict check(const float* image, const Spec& spec);
/** The same of what detect() found, for several captions of a picture. */
Verdict check(const std::vector<Detected>& found, const Spec& spec);

/** Mean squared deviation of background pixels from the background colour, over
 * pixels and channels, colours in [0,1]. Background pixels are those farther
 * than 2 px (Chebyshev) from all foreground; 0 where there are none. `check`
 * does not see such texture: watch it for reward hacking. */
double background_texture(const float* image);

}  // namespace rsm::shapes
