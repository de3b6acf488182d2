#pragma once

#include <cstdint>
#include <vector>

#include "rsm/base/estimator.h"

namespace rsm {

/** The conditions under which an epoch's outputs are compared, policy, old and
 * reference alike: those of their states' prompts, but for states that lose
 * theirs (Guidance::unprompted). */
class LossConditions {
 public:
  LossConditions() = default;
  /** `empty` is the condition of the empty prompt, one row; not looked at where
   * no state loses its prompt. */
  LossConditions(const Sampled& sampled, const std::vector<int64_t>& unprompted,
                 const Condition& empty);

  /** Of states, for as long as this lives. */
  ConditionRows of(const std::vector<int64_t>& states) const;

 private:
  Condition all_;               ///< [P], or [P + 1] with the empty prompt's
  std::vector<int64_t> which_;  ///< [S] of them
};

}  // namespace rsm
