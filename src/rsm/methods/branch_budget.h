#pragma once

#include <cstdint>
#include <vector>

namespace rsm {

/** What is known of a sampler step that may branch. The gradient of its rows
 * has a mean G and, of one root with K branches, a covariance of trace
 * noise / K. */
struct StepWorth {
  double signal = 0;  ///< |G|^2, 0 or more
  double noise = 0;   ///< of one branch, above 0
  double cost = 1;    ///< of one branch, in any unit, above 0
  /** What A is divided by, where its rows are (sibling_spread()), or else 1;
   * above 0. Along G rewards rise by spread |G|^2: A alone does not tell a step
   * that decides the picture from one that hardly changes it. */
  double spread = 1;

  double gain() const { return spread * signal; }
};

/** Branches that a budget gives a step at least, or none: one has no sibling to
 * be compared with. */
inline constexpr int64_t kLeastBranches = 2;

/** sum_i cost_i K_i; steps beyond `branches` have none. */
double budget_cost(const std::vector<StepWorth>& steps,
                   const std::vector<int64_t>& branches);

/** What rewards gain by an update of `roots` roots with K_i branches at step i:
 *
 *     (sum_i gain_i)^2 / sum_i (signal_i + noise_i / (K_i roots)),
 *
 * sums over the steps that branch. It is the decrease of a loss by the best
 * step along a noisy gradient, up to a constant (arXiv 1812.06162), where the
 * gradients of different times are orthogonal. 0 where nothing branches. */
double budget_gain(const std::vector<StepWorth>& steps,
                   const std::vector<int64_t>& branches, double roots);

/** K_i of the steps that are `chosen`, each at least kLeastBranches, where
 * sum_i cost_i K_i is at most `cost`: the noise sum_i noise_i / K_i is as small
 * as whole numbers allow, K_i ~ sqrt(noise_i / cost_i). All 0 where they cost
 * more. */
std::vector<int64_t> branches_among(const std::vector<StepWorth>& steps,
                                    const std::vector<bool>& chosen,
                                    double cost);

/** branches_among() the steps whose gain by cost is at least `least_worth`,
 * above 0 to 1, of the best one's, but for the worst of them where `cost` does
 * not give each kLeastBranches. All 0 where nothing has signal, or the best
 * cannot be paid for. Throws as branch_budget(). */
std::vector<int64_t> budget_by_worth(const std::vector<StepWorth>& steps,
                                     double cost, double least_worth);

/** K_i, each 0 or at least kLeastBranches, of the largest gain that is found
 * where sum_i cost_i K_i is at most `cost`. Inside the steps that branch
 * it is branches_among(); which ones do is settled by adding, dropping and
 * exchanging one at a time. All
 * 0 where nothing has signal, or no step can be paid for. The same numbers give
 * the same budget. Throws rsm::Error for numbers out of range. */
std::vector<int64_t> branch_budget(const std::vector<StepWorth>& steps,
                                   double cost, double roots);

}  // namespace rsm
