#include "rsm/estimators/regression.h"

#include <algorithm>

#include "rsm/estimators/distance.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

using Coefficient = PictureKnobs::Coefficient;
using Importance = RegularisationKnobs::Importance;
using Weight = PictureKnobs::Weight;

/** Rows that are compared with each other at one draw. */
std::vector<int64_t> labels_of(const RolloutIndex& rollout,
                               const Advantages& advantages) {
  const auto draws = std::ssize(rollout.transitions);
  std::vector<int64_t> out;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    out.push_back(advantages.group[r] * draws +
                  rollout.state_step[rollout.row_state[r]]);
  }
  return out;
}

/** [R] float64 of each row: the mean, or the sum, of its group's. */
torch::Tensor over_groups(const torch::Tensor& values,
                          const std::vector<int64_t>& group, bool mean) {
  const auto label = torch::tensor(group, at::kLong);
  const int64_t groups = *std::max_element(group.begin(), group.end()) + 1;
  const auto sum = at::zeros({groups}, at::kDouble).index_add(0, label, values);
  const auto count = at::zeros({groups}, at::kDouble)
                         .index_add(0, label, at::ones_like(values));
  return (mean ? sum / count.clamp_min(1) : sum).index_select(0, label);
}

/** [R] float64 L of every row at some outputs, a state each. */
torch::Tensor losses_at(const Method& method, const Rollout& rollout,
                        const StateOutputs& outputs) {
  constexpr int64_t kAtOnce = 256;
  const int64_t rows = rollout.rows();
  auto out = at::empty({rows}, at::kDouble);
  for (int64_t first = 0; first < rows; first += kAtOnce) {
    const int64_t last = std::min(first + kAtOnce, rows);
    const std::vector<int64_t> states(rollout.row_state.begin() + first,
                                      rollout.row_state.begin() + last);
    const auto d = outputs.of(states) - rollout.x_next.slice(0, first, last);
    out.slice(0, first, last)
        .copy_(distance_of(method.estimator.pictures, d).value);
  }
  double* value = out.mutable_data_ptr<double>();
  for (int64_t r = 0; r < rows; ++r) {
    const auto& row = rollout.transition_of(rollout.row_state[r]);
    value[r] *= 0.5 * strength(method.strength, row);
  }
  return out;
}

}  // namespace

Guidance Regression::guide(const Sampled& sampled, int64_t epoch) {
  auto out = ZerothOrder::guide(sampled, epoch);
  auto& a = out.advantages;
  const auto& knobs = method().estimator.pictures;
  const double least = method().regularisation.least_pull;
  if (least < 1) {
    const auto good =
        a.value.to(at::kDouble) / (2 * method().regularisation.advantage_clip) +
        0.5;
    a.pull = least + (1 - least) * good;
  }
  a.value =
      weights_of(knobs, a.value, labels_of(sampled.rollout, a)).to(at::kFloat);
  if (knobs.weight == Weight::exponential || knobs.weight == Weight::top) {
    // Where all are alike, each is as good a sample as another.
    a.alive = at::ones_like(a.alive);
    a.differs = a.alive;
  }
  return out;
}

void Regression::weigh(const Sampled& sampled, const Outputs& outputs,
                       Guidance& guidance) const {
  const auto& knobs = method().estimator.pictures;
  if (!knobs.compares_outputs()) return;
  const auto& rollout = sampled.rollout;
  auto& value = guidance.advantages.value;
  const auto group = labels_of(rollout, guidance.advantages);
  const auto a = value.to(at::kDouble);
  const auto now = losses_at(method(), rollout, outputs.now());
  if (knobs.coefficient == Coefficient::centred) {
    const auto delta = losses_at(method(), rollout, outputs.old) - now;
    value = (a + over_groups(knobs.sharpness * delta - a, group, true))
                .to(at::kFloat);
    return;
  }
  const auto further = now - losses_at(method(), rollout, outputs.reference);
  if (knobs.weight == Weight::pairs) {
    // The pair's A are 1 and -1: the sum is what the better one is behind by.
    const auto behind = over_groups(a * further, group, false);
    value = (a * knobs.sharpness * (knobs.sharpness * behind).sigmoid())
                .to(at::kFloat);
    return;
  }
  const auto behind = over_groups(a * further, group, true);
  value = (a * (knobs.sharpness * behind).sigmoid()).to(at::kFloat);
}

void Regression::at_output(const torch::Tensor& y, LossTerms& terms) const {
  const auto& knobs = method().estimator.pictures;
  auto& rows = terms.rows;
  if (knobs.coefficient == Coefficient::linear || rows.state.numel() == 0) {
    return;
  }
  const auto& far = rows.direction;
  const auto moved = (y - terms.states.y_old).index_select(0, rows.state);
  const auto half_g = 0.5 * rows.exponent;
  if (knobs.coefficient == Coefficient::reflected) {
    const auto good = (0.5 * (rows.advantage + 1)).clamp(0, 1);
    const double b = knobs.sharpness;
    const auto up = good * distance_of(knobs, b * moved - far).pull;
    const auto down = (1 - good) * distance_of(knobs, b * moved + far).pull;
    rows.guidance = half_g * (up - down);
    rows.trust = half_g * b * (up + down);
    return;
  }
  const auto here = distance_of(knobs, moved - far);
  const auto there = distance_of(knobs, far);
  const auto delta = half_g * (there.value - here.value);
  auto coefficient = rows.advantage;
  if (knobs.coefficient == Coefficient::residual ||
      knobs.coefficient == Coefficient::centred) {
    coefficient = coefficient - knobs.sharpness * delta;
  }
  const auto excess = at::expm1(delta);
  /** Those that did not go their own way by more. */
  const auto within = [&](double xi) {
    return at::where(coefficient > 0, excess <= xi, excess >= -xi);
  };
  if (rows.importance == Importance::ratio) {
    coefficient = coefficient * (1 + excess) * within(rows.clip_range);
    rows.importance = Importance::none;
  } else if (knobs.clip > 0) {
    coefficient = coefficient * within(knobs.clip);
  }
  rows.guidance = half_g * coefficient * here.pull;
  rows.trust = rows.guidance;
}

}  // namespace rsm
