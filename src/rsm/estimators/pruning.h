#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/base/rollout.h"

namespace rsm {

/** [R] which rows of a tree are trained. Source: the width and depth pruning
 * of Branch-GRPO, arXiv 2509.06040.
 * keep_leaves: of each root's pictures, the ceil(share * pictures) with the
 * highest rewards [I] are kept (of equal ones the first). A row of a step after
 * the last split leads to one picture and is trained where that is kept; rows
 * at and above the last split are all trained.
 * skip_steps: no row of these steps is trained.
 * Throws rsm::Error for a share outside (0,1] and for a row after the last
 * split that leads to several pictures. */
std::vector<bool> trained_rows(const Rollout& rollout,
                               const std::vector<double>& rewards,
                               const TreeKnobs& knobs);

}  // namespace rsm
