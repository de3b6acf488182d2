#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/rollout.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {

// A rollout in chunks of its prompt entries. Drawn by a network whose rows do
// not depend on each other, the chunks joined are the whole, bit for bit.

/** The request for `count` of a request's prompt entries from `first` on, with
 * the member numbers they have in the whole. Throws rsm::Error for entries it
 * does not have. */
RolloutRequest part_of(const RolloutRequest& whole, int64_t first,
                       int64_t count);

/** Consecutive chunks of one plan as one rollout: roots, states, rows, pictures
 * and prompts stand one chunk after another. Throws rsm::Error for none, or
 * where chunks differ in steps, sharing or kind; that they are of one plan is
 * the caller's to know. */
Rollout joined(std::vector<Rollout> chunks);

}  // namespace rsm
