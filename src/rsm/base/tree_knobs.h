#pragma once

#include <cstdint>
#include <vector>

namespace rsm {

/** A stochastic path that splits. Source: Branch-GRPO, arXiv 2509.06040. */
struct TreeKnobs {
  /** Which leaves keep_leaves keeps: the best, or as many of the best as of the
   * worst. */
  enum class Keep { best, extremes };

  std::vector<int64_t> split_steps;
  int64_t children = 2;
  double split_noise = 1;
  std::vector<int64_t> sde_steps;
  double keep_leaves = 1;
  Keep keep = Keep::best;
  std::vector<int64_t> skip_steps;
  int64_t slide_every = 0;  ///< epochs
  int64_t slide_stop = 0;

  bool splits_at(int64_t step) const;
  /** Of a node at `step`, which is before the last: `children` at splits, else
   * 1; 0 where no noise is drawn and the ODE step is taken. */
  int64_t children_at(int64_t step) const;
  bool operator==(const TreeKnobs&) const = default;
};

}  // namespace rsm
