#include "rsm/values/value_gradient.h"

#include <cmath>

#include "rsm/base/random.h"
#include "rsm/estimators/estimators.h"
#include "rsm/runs/optimizer_state.h"

namespace rsm {
namespace {

constexpr const char* kPrefix = "value_network.";

/** [N] means of a number of the trained states. */
std::vector<double> by_step(const RolloutIndex& rollout,
                            const std::vector<int64_t>& trained,
                            const torch::Tensor& numbers) {
  std::vector<double> sum(rollout.transitions.size(), 0), count(sum);
  for (size_t k = 0; k < trained.size(); ++k) {
    const int64_t step = rollout.state_step[trained[k]];
    sum[step] += numbers[static_cast<int64_t>(k)].item<double>();
    ++count[step];
  }
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i] = count[i] > 0 ? sum[i] / count[i] : NAN;
  }
  return sum;
}

}  // namespace

ValueGradient::ValueGradient(const Method& method, uint64_t seed,
                             const GradientParts& parts,
                             const ValueParts& network)
    : method_(method),
      parts_(parts),
      first_order_(method, seed, parts),
      network_(method.estimator.gradient.value, network,
               counted_seed(seed, Purpose::model_init, {})) {}

Guidance ValueGradient::guide(const Sampled& sampled, int64_t epoch) {
  lesson_.reset();
  const auto taking = first_order_.taking(epoch);
  auto out = first_order_.guide(sampled, epoch);
  const Classroom room = {method_, sampled, parts_, network_.outputs(),
                          out,     taking};
  auto lesson =
      method_.estimator.gradient.value.law == ValueKnobs::Law::consistency
          ? consistency_lesson(room)
          : balance_lesson(room);
  out.shift = std::move(lesson.shift);
  const auto tell = [&](const std::string& name, const torch::Tensor& norm) {
    out.numbers[name] = norm.mean().item<double>();
    out.by_step[name] = by_step(sampled.rollout, out.trained, norm);
  };
  tell("value_norm", lesson.value_norm);
  tell("guidance_norm", lesson.guidance_norm);
  out.evaluations +=
      std::ssize(out.trained) * method_.estimator.gradient.value.evaluations();
  double loss = 0;
  for (const auto& [name, part] : lesson.losses) {
    out.numbers[name] = part;
    loss += part;
  }
  out.numbers["value_loss"] = loss;
  lesson_ = std::move(lesson);
  return out;
}

void ValueGradient::learn(const Sampled& sampled, const Outputs&) {
  if (!lesson_) return;
  const auto index = torch::tensor(lesson_->prompt, at::kLong);
  network_.step(network_.gradients(
      lesson_->x, lesson_->t, {sampled.conditions, index}, lesson_->slope));
  lesson_.reset();
}

StateDict ValueGradient::state() const {
  auto out = first_order_.state();
  add_with_prefix(out, kPrefix, network_.state());
  return out;
}

void ValueGradient::load_state(const StateDict& state) {
  auto others = state;
  std::erase_if(
      others, [](const auto& item) { return item.first.starts_with(kPrefix); });
  first_order_.load_state(others);
  network_.load_state(with_prefix(state, kPrefix));
}

std::unique_ptr<Estimator> make_estimator(const Method& method, uint64_t seed,
                                          const GradientParts& parts,
                                          const ValueParts& network) {
  if (method.estimator.is_first_order() &&
      method.estimator.gradient.value.kind != ValueKnobs::Kind::none) {
    return std::make_unique<ValueGradient>(method, seed, parts, network);
  }
  return make_estimator(method, seed, parts);
}

}  // namespace rsm
