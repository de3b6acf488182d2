#include "rsm/methods/branch_budget.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Relative: sums of costs in another order are the same budget. */
constexpr double kRounding = 1e-9;

using Chosen = std::vector<bool>;

struct Budget {
  Chosen chosen;
  std::vector<int64_t> branches;
  double gain = 0;
};

/** Less noise for one branch more at a step, by its cost. */
double worth_of_one_more(const StepWorth& step, int64_t branches) {
  const auto k = static_cast<double>(branches);
  return step.noise / (k * (k + 1) * step.cost);
}

/** The step whose next branch is worth most of those that can be paid for; -1:
 * none can. */
int64_t next_of(const std::vector<StepWorth>& steps, const Chosen& chosen,
                const std::vector<int64_t>& branches, double left) {
  int64_t best = -1;
  for (int64_t i = 0; i < std::ssize(steps); ++i) {
    if (!chosen[i] || steps[i].cost > left) continue;
    if (best < 0 || worth_of_one_more(steps[i], branches[i]) >
                        worth_of_one_more(steps[best], branches[best])) {
      best = i;
    }
  }
  return best;
}

/** The budget of the steps that are chosen; no gain where they cost too much.
 */
Budget budget_of(const std::vector<StepWorth>& steps, Chosen chosen,
                 double cost, double roots) {
  auto branches = branches_among(steps, chosen, cost);
  const double gain = budget_gain(steps, branches, roots);
  return {std::move(chosen), std::move(branches), gain};
}

/** What differs from `chosen` in one step, or has one in place of another. */
std::vector<Chosen> changes_of(const std::vector<StepWorth>& steps,
                               const Chosen& chosen) {
  std::vector<Chosen> out;
  const auto flip = [&](Chosen some, size_t i) {
    some[i] = !some[i];
    return some;
  };
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].signal > 0) out.push_back(flip(chosen, i));
  }
  for (size_t i = 0; i < steps.size(); ++i) {
    for (size_t j = 0; chosen[i] && j < steps.size(); ++j) {
      if (!chosen[j] && steps[j].signal > 0) {
        out.push_back(flip(flip(chosen, i), j));
      }
    }
  }
  return out;
}

void check(const std::vector<StepWorth>& steps, double cost) {
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto& [signal, noise, each, spread] = steps[i];
    RSM_CHECK(std::isfinite(signal) && signal >= 0 && std::isfinite(noise) &&
                  noise > 0 && std::isfinite(each) && each > 0 &&
                  std::isfinite(spread) && spread > 0,
              "[budget] step ", i, " has signal ", signal, ", noise ", noise,
              ", cost ", each, " and spread ", spread,
              "; signals are 0 or more, the others above 0, all finite");
  }
  RSM_CHECK(std::isfinite(cost) && cost >= 0, "[budget] cost ", cost,
            " arrived; it is finite, and 0 or more");
}

}  // namespace

double budget_cost(const std::vector<StepWorth>& steps,
                   const std::vector<int64_t>& branches) {
  double cost = 0;
  for (size_t i = 0; i < std::min(steps.size(), branches.size()); ++i) {
    cost += steps[i].cost * static_cast<double>(branches[i]);
  }
  return cost;
}

double budget_gain(const std::vector<StepWorth>& steps,
                   const std::vector<int64_t>& branches, double roots) {
  RSM_CHECK(steps.size() == branches.size(), "[budget] ", branches.size(),
            " counts of branches arrived for ", steps.size(),
            " steps; give one each");
  double gain = 0, square = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    if (branches[i] == 0) continue;
    gain += steps[i].gain();
    square += steps[i].signal +
              steps[i].noise / (static_cast<double>(branches[i]) * roots);
  }
  return gain > 0 ? gain * gain / square : 0;
}

std::vector<int64_t> branches_among(const std::vector<StepWorth>& steps,
                                    const std::vector<bool>& chosen,
                                    double cost) {
  std::vector<int64_t> out(steps.size(), 0);
  double left = cost * (1 + kRounding);
  for (size_t i = 0; i < steps.size(); ++i) {
    if (!chosen[i]) continue;
    out[i] = kLeastBranches;
    left -= kLeastBranches * steps[i].cost;
  }
  if (left < 0) return std::vector<int64_t>(steps.size(), 0);
  for (int64_t i = next_of(steps, chosen, out, left); i >= 0;
       i = next_of(steps, chosen, out, left)) {
    ++out[i];
    left -= steps[i].cost;
  }
  return out;
}

std::vector<int64_t> budget_by_worth(const std::vector<StepWorth>& steps,
                                     double cost, double least_worth) {
  check(steps, cost);
  RSM_CHECK(least_worth > 0 && least_worth <= 1, "[budget] least_worth ",
            least_worth, " arrived; it is above 0, and 1 at most");
  const auto worth = [&](size_t i) { return steps[i].gain() / steps[i].cost; };
  std::vector<size_t> order(steps.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return worth(a) > worth(b); });
  Chosen chosen(steps.size(), false);
  double least = 0;  // what the steps so far cost at least
  for (const size_t i : order) {
    least += kLeastBranches * steps[i].cost;
    if (!(steps[i].signal > 0) || least > cost * (1 + kRounding) ||
        worth(i) < least_worth * worth(order.front())) {
      break;
    }
    chosen[i] = true;
  }
  return branches_among(steps, chosen, cost);
}

std::vector<int64_t> branch_budget(const std::vector<StepWorth>& steps,
                                   double cost, double roots) {
  check(steps, cost);
  RSM_CHECK(roots > 0, "[budget] ", roots,
            " roots arrived; they are more than 0");
  Budget best{Chosen(steps.size(), false),
              std::vector<int64_t>(steps.size(), 0)};
  for (bool better = true; better;) {
    better = false;
    for (auto& chosen : changes_of(steps, best.chosen)) {
      auto found = budget_of(steps, std::move(chosen), cost, roots);
      if (found.gain > best.gain * (1 + kRounding)) {
        best = std::move(found);
        better = true;
        break;
      }
    }
  }
  return best.branches;
}

}  // namespace rsm
