#pragma once

#include <memory>

#include "rsm/base/reward.h"

namespace rsm::shapes {

/** How well pictures of the shapes world show their captions: value is the
 * graded verdict; metrics are "graded", "strict" (0 or 1) and "texture"
 * (background_texture). See worlds/shapes_checker.h.
 *
 * Throws rsm::Error where images are not [B,3,32,32], where one has a NaN or an
 * infinity (naming its index), or where a prompt is no caption of the shapes
 * world. Values outside [0,1] are clipped. */
std::unique_ptr<Reward> make_reward();

}  // namespace rsm::shapes
