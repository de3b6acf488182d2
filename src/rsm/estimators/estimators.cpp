#include "rsm/estimators/estimators.h"

#include <algorithm>

#include "rsm/base/random.h"
#include "rsm/estimators/first_order.h"
#include "rsm/estimators/flow_balance.h"
#include "rsm/estimators/forward_rows.h"
#include "rsm/estimators/noised_gradients.h"
#include "rsm/estimators/pair_difference.h"
#include "rsm/estimators/regression.h"
#include "rsm/estimators/surrogate.h"
#include "rsm/estimators/zeroth_order.h"

namespace rsm {

std::unique_ptr<Estimator> make_estimator(const Method& method, uint64_t seed,
                                          const GradientParts& parts) {
  if (method.estimator.is_first_order()) {
    return std::make_unique<FirstOrder>(method, seed, parts);
  }
  if (method.estimator.has_flow()) {
    return std::make_unique<FlowBalance>(method, seed, parts);
  }
  if (method.estimator.is_of_pictures()) {
    if (method.estimator.pictures.follows_gradients()) {
      return std::make_unique<NoisedGradients>(method, parts);
    }
    return std::make_unique<Regression>(method, seed);
  }
  if (method.estimator.is_of_pairs()) {
    return std::make_unique<PairDifference>(method, seed);
  }
  if (method.estimator.forward.is_on()) {
    return std::make_unique<ForwardRows>(method, seed);
  }
  if (method.estimator.has_surrogate()) {
    return std::make_unique<Surrogate>(method, seed, parts);
  }
  return std::make_unique<ZerothOrder>(method, seed);
}

std::vector<int64_t> trained_states(const RolloutIndex& rollout,
                                    double anchor_share, uint64_t seed) {
  std::vector<bool> has_rows(rollout.states(), false);
  for (const int64_t state : rollout.row_state) {
    has_rows[state] = true;
  }
  std::vector<int64_t> states, anchors;
  for (int64_t state = 0; state < rollout.states(); ++state) {
    (has_rows[state] ? states : anchors).push_back(state);
  }
  const auto all = static_cast<int64_t>(anchors.size());
  const auto rows =
      std::count_if(rollout.row_state.begin(), rollout.row_state.end(),
                    [&](int64_t state) { return !rollout.is_forward(state); });
  const int64_t wanted =
      anchor_share > 0
          ? std::min(all, static_cast<int64_t>(anchor_share *
                                               static_cast<double>(rows)))
          : all;
  const auto order = counted_permutation(seed, all);
  for (int64_t k = 0; k < wanted; ++k) {
    states.push_back(anchors[order[k]]);
  }
  std::sort(states.begin(), states.end());
  return states;
}

}  // namespace rsm
