#include "rsm/estimators/first_order.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"

namespace rsm {
namespace {

/** All rows are one group, and none is compared with it. */
Advantages uncompared(const std::vector<float>& value,
                      const std::vector<uint8_t>& alive,
                      const RewardScores& scores) {
  Advantages out;
  const auto rows = std::ssize(value);
  out.value = torch::tensor(value);
  out.alive = torch::tensor(alive, at::kByte).to(at::kBool);
  out.differs = at::ones({rows}, at::kBool);
  out.trained = out.differs;
  out.group.assign(rows, 0);
  out.deviation = {
      scores.value.to(at::kDouble).std(/*unbiased=*/false).item<double>()};
  out.dead = {false};
  return out;
}

/** Of a node among all, which rise. */
int64_t place_of(const std::vector<int64_t>& nodes, int64_t node) {
  return std::lower_bound(nodes.begin(), nodes.end(), node) - nodes.begin();
}

}  // namespace

std::vector<int64_t> FirstOrder::trained_steps(int64_t root, int64_t steps,
                                               int64_t epoch) const {
  const auto drawn = [&](int64_t below, int64_t what, int64_t number) {
    return counted_permutation(
        counted_seed(seed_, Purpose::trained_steps,
                     {static_cast<uint64_t>(epoch), static_cast<uint64_t>(what),
                      static_cast<uint64_t>(number)}),
        below)[0];
  };
  int64_t late =
      knobs_.late_steps > 0 ? std::min(knobs_.late_steps, steps) : steps;
  if (knobs_.random_late_steps) late = 1 + drawn(late, 0, 0);
  const int64_t parts = knobs_.times > 0 ? std::min(knobs_.times, late) : late;
  std::vector<int64_t> out;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = late * part / parts;
    const int64_t size = late * (part + 1) / parts - first;
    out.push_back(steps - late + first + drawn(size, 1 + root, part));
  }
  if (knobs_.last_time && out.back() != steps - 1) out.push_back(steps - 1);
  return out;
}

int64_t FirstOrder::step_taken_at(int64_t step, int64_t steps) const {
  return knobs_.at == GradientKnobs::At::sample ? steps
                                                : step + knobs_.lookahead;
}

Guidance FirstOrder::guide(const Sampled& sampled, int64_t epoch) {
  const auto& rollout = sampled.rollout;
  const PathNodes nodes{std::ssize(rollout.transitions)};
  const int64_t steps = nodes.steps;
  RSM_CHECK(rollout.states() == rollout.images() * steps &&
                rollout.rows() == rollout.states(),
            "[first order] ", rollout.states(), " states with ", rollout.rows(),
            " rows for ", rollout.images(), " pictures of ", steps,
            " steps; whole trajectories are needed");
  Guidance out;
  std::vector<int64_t> at;  // of the trained states
  for (int64_t root = 0; root < rollout.images(); ++root) {
    for (const int64_t step : trained_steps(root, steps, epoch)) {
      out.trained.push_back(root * steps + step);
      at.push_back(nodes.of(root, step_taken_at(step, steps)));
    }
  }
  auto distinct = at;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  const auto taken = gradients_at(distinct, sampled, knobs_, parts_);
  out.numbers["gradient_norm"] = norms(taken.gradient).mean().item<double>();
  out.directions.value = knobs_.norm_clip > 0
                             ? clip_gradients(taken.gradient, knobs_.norm_clip)
                             : taken.gradient;
  const double size =
      knobs_.of_sum ? 0.5 * static_cast<double>(rollout.x[0].numel()) : 1;
  const auto reward = taken.value.accessor<float, 1>();
  std::vector<float> value(rollout.rows(), 0);
  std::vector<uint8_t> alive(rollout.rows(), 0);
  out.directions.of_row.assign(rollout.rows(), 0);
  for (size_t i = 0; i < at.size(); ++i) {
    const int64_t row = out.trained[i];
    const int64_t place = place_of(distinct, at[i]);
    const int64_t left = steps - 1 - row % steps;
    out.directions.of_row[row] = place;
    value[row] = static_cast<float>(
        size * std::pow(knobs_.discount, static_cast<double>(left)));
    alive[row] = !knobs_.positive_only || reward[place] > 0;
  }
  out.advantages = uncompared(value, alive, sampled.scores);
  return out;
}

}  // namespace rsm
