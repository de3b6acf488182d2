#include "rsm/train/update_states.h"

#include <algorithm>
#include <iterator>
#include <numeric>
#include <set>
#include <utility>

#include "rsm/base/random.h"

namespace rsm {
namespace {

/** The trained states of each update, shuffled. */
std::vector<std::vector<int64_t>> split_into_updates(
    const RunOptions& options, int64_t epoch,
    const std::vector<int64_t>& trained) {
  const auto order =
      counted_permutation(counted_seed(options.seed, Purpose::update_order,
                                       {static_cast<uint64_t>(epoch)}),
                          std::ssize(trained));
  const auto count = static_cast<size_t>(options.updates_per_epoch);
  std::vector<std::vector<int64_t>> updates(count);
  for (size_t u = 0; u < count; ++u) {
    for (size_t i = order.size() * u / count;
         i < order.size() * (u + 1) / count; ++i) {
      updates[u].push_back(trained[order[i]]);
    }
  }
  return updates;
}

/** States of an update that have a gradient: those with a row that weighs
 * something and has an advantage, or with a pull. */
std::vector<int64_t> states_that_matter(const RolloutIndex& rollout,
                                        const Advantages& advantages,
                                        const UpdateWeights& weights,
                                        const std::vector<int64_t>& states) {
  std::vector<bool> matters(rollout.states(), false);
  const auto values = advantages.value.to(at::kCPU).contiguous();
  const float* value = values.const_data_ptr<float>();
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (weights.row[r] > 0 && value[r] != 0) {
      matters[rollout.row_state[r]] = true;
    }
  }
  std::vector<int64_t> used;
  std::copy_if(
      states.begin(), states.end(), std::back_inserter(used), [&](int64_t s) {
        return matters[s] || weights.k_ref[s] > 0 || weights.k_old[s] > 0;
      });
  return used;
}

}  // namespace

std::vector<UpdateStates> updates_of(const RunOptions& options, int64_t epoch,
                                     const RolloutIndex& rollout,
                                     const Guidance& guidance) {
  const auto& advantages = guidance.advantages;
  std::vector<UpdateStates> out;
  for (const auto& states :
       split_into_updates(options, epoch, guidance.trained)) {
    auto weights = update_weights(options.method, rollout, advantages, states);
    auto used = states_that_matter(rollout, advantages, weights, states);
    out.push_back({std::move(weights), std::move(used)});
  }
  return out;
}

std::vector<std::vector<int64_t>> in_the_batches_of(
    const std::vector<UpdateStates>& updates,
    const std::vector<int64_t>& states) {
  std::vector<std::vector<int64_t>> out;
  std::set<int64_t> left(states.begin(), states.end());
  for (const auto& update : updates) {
    out.push_back(update.states);
    for (const int64_t state : update.states) left.erase(state);
  }
  out.emplace_back(left.begin(), left.end());
  std::erase_if(out, [](const auto& batch) { return batch.empty(); });
  return out;
}

StateOutputs in_order(const torch::Tensor& y,
                      const std::vector<int64_t>& states) {
  std::vector<int64_t> order(states.size()), rising;
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return states[a] < states[b]; });
  for (const int64_t place : order) rising.push_back(states[place]);
  return {y.index_select(0, torch::tensor(order, at::kLong).to(y.device())),
          rising};
}

}  // namespace rsm
