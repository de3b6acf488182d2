#include "rsm/estimators/first_order.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"

namespace rsm {
namespace {

constexpr const char* kNothingPositive =
    "no picture has a reward above 0, and the method trains on no other "
    "(method.estimator.gradient.positive_only): nothing is learnt";

/** The steps of a path that an epoch trains, rising. */
std::vector<int64_t> trained_steps(const GradientKnobs& knobs, uint64_t seed,
                                   int64_t epoch, int64_t root, int64_t steps) {
  const auto drawn = [&](int64_t below, int64_t what, int64_t number) {
    return counted_permutation(
        counted_seed(seed, Purpose::trained_steps,
                     {static_cast<uint64_t>(epoch), static_cast<uint64_t>(what),
                      static_cast<uint64_t>(number)}),
        below)[0];
  };
  int64_t late =
      knobs.late_steps > 0 ? std::min(knobs.late_steps, steps) : steps;
  if (knobs.random_late_steps) late = 1 + drawn(late, 0, 0);
  const int64_t parts = knobs.times > 0 ? std::min(knobs.times, late) : late;
  std::vector<int64_t> out;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = late * part / parts;
    const int64_t size = late * (part + 1) / parts - first;
    out.push_back(steps - late + first + drawn(size, 1 + root, part));
  }
  if (knobs.last_time && out.back() != steps - 1) out.push_back(steps - 1);
  return out;
}

}  // namespace

TrainedStates::TrainedStates(const RolloutIndex& rollout,
                             const GradientKnobs& knobs, uint64_t seed,
                             int64_t epoch)
    : nodes{std::ssize(rollout.transitions)} {
  const int64_t steps = nodes.steps;
  RSM_CHECK(rollout.states() == rollout.images() * steps &&
                rollout.rows() == rollout.states(),
            "[first order] ", rollout.states(), " states with ", rollout.rows(),
            " rows for ", rollout.images(), " pictures of ", steps,
            " steps; whole trajectories are needed");
  for (int64_t root = 0; root < rollout.images(); ++root) {
    for (const int64_t step : trained_steps(knobs, seed, epoch, root, steps)) {
      const int64_t taken_at = knobs.at == GradientKnobs::At::sample
                                   ? steps
                                   : step + knobs.lookahead;
      states.push_back(root * steps + step);
      node_of_state.push_back(nodes.of(root, taken_at));
    }
  }
  distinct = node_of_state;
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
}

int64_t TrainedStates::place_of(int64_t node) const {
  return std::lower_bound(distinct.begin(), distinct.end(), node) -
         distinct.begin();
}

Guidance FirstOrder::guide(const Sampled& sampled, int64_t epoch) {
  const auto& rollout = sampled.rollout;
  const TrainedStates trained(rollout, knobs_, seed_, epoch);
  const int64_t steps = trained.nodes.steps;
  const auto taken = gradients_at(trained.distinct, sampled, knobs_, parts_);
  Guidance out;
  out.trained = trained.states;
  out.evaluations = passes_for(trained.distinct, trained.nodes, knobs_);
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
  for (size_t i = 0; i < trained.states.size(); ++i) {
    const int64_t row = trained.states[i];
    const int64_t place = trained.place_of(trained.node_of_state[i]);
    const int64_t left = steps - 1 - row % steps;
    out.directions.of_row[row] = place;
    value[row] = static_cast<float>(
        size * std::pow(knobs_.discount, static_cast<double>(left)));
    alive[row] = !knobs_.positive_only || reward[place] > 0;
  }
  if (std::none_of(alive.begin(), alive.end(), [](uint8_t a) { return a; })) {
    out.warnings.emplace_back(kNothingPositive);
  }
  out.advantages = uncompared(torch::tensor(value),
                              torch::tensor(alive, at::kByte).to(at::kBool),
                              sampled.scores.value);
  return out;
}

void FirstOrder::reject(const std::function<torch::Tensor()>& distances_of,
                        Guidance& guidance) {
  if (knobs_.reject_above == 1) return;
  const auto distances = distances_of();
  const double present =
      at::quantile(distances, knobs_.reject_above).item<double>();
  constexpr double kDecay = 0.9;
  farthest_ = epochs_ < 2 ? (epochs_ * farthest_ + present) / (epochs_ + 1)
                          : kDecay * farthest_ + (1 - kDecay) * present;
  ++epochs_;
  const auto alive = guidance.advantages.alive;
  const auto near = distances < farthest_;
  for (size_t i = 0; i < guidance.trained.size(); ++i) {
    const auto row = guidance.trained[i];
    if (!near[static_cast<int64_t>(i)].item<bool>()) alive[row] = false;
  }
  guidance.numbers["rejected"] = 1 - near.to(at::kDouble).mean().item<double>();
}

StateDict FirstOrder::state() const {
  if (knobs_.reject_above == 1) return {};
  return {{"rejection", torch::tensor({farthest_, epochs_}, at::kDouble)}};
}

void FirstOrder::load_state(const StateDict& state) {
  if (knobs_.reject_above == 1) {
    Estimator::load_state(state);
    return;
  }
  const auto found = state.find("rejection");
  RSM_CHECK(
      state.size() == 1 && found != state.end() && found->second.numel() == 2,
      "[first order] ", state.size(),
      " saved tensors arrived, not the one \"rejection\"; the checkpoint "
      "is of another method");
  farthest_ = found->second[0].item<double>();
  epochs_ = found->second[1].item<double>();
}

}  // namespace rsm
