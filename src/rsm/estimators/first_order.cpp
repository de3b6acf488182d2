#include "rsm/estimators/first_order.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/objective/temperature.h"

namespace rsm {
namespace {

constexpr const char* kNothingPositive =
    "no picture has a reward above 0, and the method trains on no other "
    "(method.estimator.gradient.positive_only): nothing is learnt";

/** Draws what of a path an epoch trains. */
class StepDraw {
 public:
  StepDraw(uint64_t seed, int64_t epoch, int64_t what)
      : seed_(seed), epoch_(epoch), what_(what) {}

  /** So many of 0 .. of-1, each once, rising; as many as there are. */
  std::vector<int64_t> some(int64_t count, int64_t of, int64_t number) const {
    auto out =
        counted_permutation(counted_seed(seed_, Purpose::trained_steps,
                                         {static_cast<uint64_t>(epoch_),
                                          static_cast<uint64_t>(what_),
                                          static_cast<uint64_t>(number)}),
                            of);
    out.resize(std::min(count, of));
    std::sort(out.begin(), out.end());
    return out;
  }
  int64_t one(int64_t of, int64_t number) const {
    return some(1, of, number)[0];
  }

 private:
  uint64_t seed_;
  int64_t epoch_, what_;
};

/** One of each even part of 0 .. of-1. */
std::vector<int64_t> even_times(const StepDraw& draw, int64_t parts,
                                int64_t of) {
  std::vector<int64_t> out;
  for (int64_t part = 0; part < parts; ++part) {
    const int64_t first = of * part / parts;
    const int64_t size = of * (part + 1) / parts - first;
    out.push_back(first + draw.one(size, part));
  }
  return out;
}

/** Any early ones of 0 .. of-1, and any others. */
std::vector<int64_t> split_times(const StepDraw& draw,
                                 const GradientKnobs& knobs, int64_t of) {
  const int64_t early = std::max<int64_t>(
      1, std::llround(knobs.early_share * static_cast<double>(of)));
  auto out = draw.some(knobs.early_times, early, 0);
  const auto late = draw.some(knobs.times - knobs.early_times, of - early, 1);
  for (const int64_t step : late) out.push_back(early + step);
  return out;
}

/** The steps of a path that an epoch trains, rising. */
std::vector<int64_t> trained_steps(const GradientKnobs& knobs, uint64_t seed,
                                   int64_t epoch, int64_t root, int64_t steps) {
  int64_t late = steps - knobs.first_step;
  if (knobs.late_steps > 0) late = std::min(late, knobs.late_steps);
  if (knobs.random_late_steps) late = 1 + StepDraw(seed, epoch, 0).one(late, 0);
  const StepDraw draw(seed, epoch, 1 + (knobs.shared_times ? 0 : root));
  const int64_t parts = knobs.times > 0 ? std::min(knobs.times, late) : late;
  auto out = knobs.early_times > 0 ? split_times(draw, knobs, late)
                                   : even_times(draw, parts, late);
  for (auto& step : out) step += steps - late;
  if (knobs.last_time && out.back() != steps - 1) out.push_back(steps - 1);
  return out;
}

/** Of some states, as many as `share` says in the mean, rising. */
std::vector<int64_t> dropped(const std::vector<int64_t>& states, double share,
                             uint64_t seed, int64_t epoch) {
  std::vector<int64_t> out;
  if (share == 0) return out;
  for (const int64_t state : states) {
    const double at = counted_uniform(counted_seed(
        seed, Purpose::prompt_dropout,
        {static_cast<uint64_t>(epoch), static_cast<uint64_t>(state)}));
    if (at < share) out.push_back(state);
  }
  return out;
}

/** [N] what |y - y_ref|^2 costs at each step of a rollout of paths. */
std::vector<double> costs_of(const Method& method, const Rollout& rollout) {
  const auto steps = std::ssize(rollout.transitions);
  std::vector<double> out;
  for (int64_t i = 0; i < steps; ++i) {
    const double share =
        guidance_share(method.estimator, steps - 1 - i, rollout.x[0].numel());
    out.push_back(cost_factor(method, rollout.transitions[i], share));
  }
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

FirstOrder::FirstOrder(const Method& method, uint64_t seed,
                       const GradientParts& parts)
    : method_(method),
      knobs_(method.estimator.gradient),
      seed_(seed),
      parts_(parts) {
  if (knobs_.reject_above < 1) kept_["rejection"] = {0, 0};
  if (knobs_.norm_quantile > 0) kept_["norm_clip"] = {knobs_.norm_clip};
}

GradientEpoch FirstOrder::taking(int64_t epoch) const {
  const auto found = kept_.find("norm_clip");
  return {
      counted_seed(seed_, Purpose::particles, {static_cast<uint64_t>(epoch)}),
      found == kept_.end() ? knobs_.norm_clip : found->second[0]};
}

Guidance FirstOrder::guide(const Sampled& sampled, int64_t epoch) {
  const auto& rollout = sampled.rollout;
  const TrainedStates trained(rollout, knobs_, seed_, epoch);
  const int64_t steps = trained.nodes.steps;
  auto now = taking(epoch);
  if (method_.estimator.is_soft()) now.costs = costs_of(method_, rollout);
  const auto taken =
      gradients_at(trained.distinct, sampled, knobs_, parts_, now);
  Guidance out;
  out.trained = trained.states;
  out.unprompted = dropped(trained.states, knobs_.prompt_dropout, seed_, epoch);
  out.evaluations = passes_for(trained.distinct, trained.nodes, knobs_,
                               method_.estimator.is_soft());
  const auto norm = norms(taken.gradient);
  out.numbers["gradient_norm"] = norm.mean().item<double>();
  out.directions.value = now.clipped(taken.gradient);
  if (knobs_.norm_quantile > 0) {
    out.numbers["norm_clip"] = now.norm_clip;
    kept_.at("norm_clip") = {
        at::quantile(norm, knobs_.norm_quantile).item<double>()};
  }
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
  auto& kept = kept_.at("rejection");
  double &farthest = kept[0], &epochs = kept[1];
  farthest = epochs < 2 ? (epochs * farthest + present) / (epochs + 1)
                        : kDecay * farthest + (1 - kDecay) * present;
  ++epochs;
  const auto alive = guidance.advantages.alive;
  const auto near = distances < farthest;
  for (size_t i = 0; i < guidance.trained.size(); ++i) {
    const auto row = guidance.trained[i];
    if (!near[static_cast<int64_t>(i)].item<bool>()) alive[row] = false;
  }
  guidance.numbers["rejected"] = 1 - near.to(at::kDouble).mean().item<double>();
}

StateDict FirstOrder::state() const {
  StateDict out;
  for (const auto& [name, numbers] : kept_) {
    out[name] = torch::tensor(numbers, at::kDouble);
  }
  return out;
}

void FirstOrder::load_state(const StateDict& state) {
  if (kept_.empty()) {
    Estimator::load_state(state);
    return;
  }
  std::vector<std::string> names;
  for (const auto& [name, numbers] : kept_) names.push_back(name);
  for (auto& [name, numbers] : kept_) {
    const auto found = state.find(name);
    const auto count = std::ssize(numbers);
    RSM_CHECK(state.size() == kept_.size() && found != state.end() &&
                  found->second.numel() == count,
              "[first order] ", state.size(),
              " saved tensors arrived, not those called ", join(names),
              " with ", count, " numbers in \"", name,
              "\"; the checkpoint is of another method");
    for (int64_t i = 0; i < count; ++i) {
      numbers[i] = found->second[i].item<double>();
    }
  }
}

}  // namespace rsm
