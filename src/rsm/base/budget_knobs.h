#pragma once

#include <cstdint>

namespace rsm {

/** Branches that are chosen by what siblings' rewards tell
 * (train/branch_choice.h). */
struct BudgetKnobs {
  int64_t every = 0;          ///< epochs; 0: branches stay as they are
  double least_worth = 0.25;  ///< above 0, of the best time's
  bool strength = false;      ///< h(t), too: by signal over noise

  bool is_on() const { return every > 0; }
  /** Whether an epoch, counted from 0, begins with a choice. */
  bool is_due(int64_t epoch) const { return is_on() && epoch % every == 0; }
  bool operator==(const BudgetKnobs&) const = default;
};

}  // namespace rsm
