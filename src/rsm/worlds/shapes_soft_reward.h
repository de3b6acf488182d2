#pragma once

#include <memory>
#include <string>

#include "rsm/base/reward.h"

namespace rsm::shapes {

/** Where the shipped scorer lies, from the folder that rsm runs in. */
inline constexpr const char* kScorerFolder = "models/shapes-scorer";

/** The chance, in [0,1], that a picture of the shapes world shows what its
 * caption says, as a small network judges it (worlds/shapes_scorer.h): as
 * `shapes`, and differentiable. Values outside [0,1] are clipped. Metrics are
 * those of `shapes`, by the exact checker, and results are told in its
 * "strict".
 *
 * Read when it is first asked; check() throws rsm::Error where it is missing.
 * Throws as make_reward() (worlds/shapes_reward.h) besides. */
std::unique_ptr<Reward> make_soft_reward();
std::unique_ptr<Reward> make_soft_reward(const std::string& folder);

}  // namespace rsm::shapes
