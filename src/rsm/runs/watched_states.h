#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** How many states an epoch compares with the reference where its method has no
 * KL term of its own: enough to watch the drift. */
constexpr int64_t kWatchedStates = 256;

/** `count` of the trained states, rising: as many of each step as of any other
 * that has them, and at least one, chosen at random by `seed`. All where there
 * are no more. */
std::vector<int64_t> watched_states(const RolloutIndex& rollout,
                                    const std::vector<int64_t>& trained,
                                    int64_t count, uint64_t seed);

/** States at which the reference is asked, rising: all trained ones where the
 * method's loss has it, else kWatchedStates of them. What pulls in its place, a
 * reference under guidance of its own or one that was reset, is asked beside
 * that at all trained ones. */
std::vector<int64_t> reference_states(const Method& method,
                                      const RolloutIndex& rollout,
                                      const std::vector<int64_t>& trained,
                                      uint64_t seed);

/** States at which the training copy, or its slower one, is asked for y_old,
 * rising: all trained ones, but where the one update of an epoch begins with
 * these very outputs, and nothing compares them before, or where the loss is
 * free of them: then kWatchedStates. */
std::vector<int64_t> old_states(const Method& method, int64_t updates_per_epoch,
                                const RolloutIndex& rollout,
                                const std::vector<int64_t>& trained,
                                uint64_t seed);

}  // namespace rsm
