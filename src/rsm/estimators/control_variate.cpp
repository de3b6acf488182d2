#include "rsm/estimators/control_variate.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/estimators/advantages.h"
#include "rsm/objective/rows.h"

namespace rsm {
namespace {

using Baseline = EstimatorKnobs::Baseline;

/** Rows whose noise is looked at at once. */
constexpr int64_t kRowsAtOnce = 256;

/** [B,C,H,W] the noise of rows first, first + 1, ... */
torch::Tensor noise_of(const Rollout& rollout, int64_t first, int64_t count) {
  std::vector<int64_t> states;
  std::vector<double> a_x, m_y, s;
  for (int64_t r = first; r < first + count; ++r) {
    states.push_back(rollout.row_state[r]);
    const auto& step = rollout.transition_of(states.back());
    a_x.push_back(step.a_x);
    m_y.push_back(step.m_y);
    s.push_back(step.s);
  }
  const auto at = torch::tensor(states, at::kLong);
  const auto numbers = [](const std::vector<double>& of_rows) {
    return torch::tensor(of_rows, at::kDouble);
  };
  return row_noise(rollout.x_next.narrow(0, first, count),
                   rollout.x.index_select(0, at), rollout.y.index_select(0, at),
                   numbers(a_x), numbers(m_y), numbers(s));
}

/** [R] float64 q of every row. */
torch::Tensor products(const Rollout& rollout, const StateOutputs& slopes) {
  auto out = at::empty({rollout.rows()}, at::kDouble);
  for (int64_t first = 0; first < rollout.rows(); first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, rollout.rows() - first);
    const auto states = rollout.row_state.begin() + first;
    const auto slope = slopes.of({states, states + count});
    const auto noise = noise_of(rollout, first, count);
    out.narrow(0, first, count)
        .copy_((slope * noise).flatten(1).sum(1, false, at::kDouble));
  }
  return out;
}

/** [R] whose predictions are averaged: those that a row's reward is compared
 * with. The reward of a path is that of all its steps, each of which has the
 * mean of its own. */
std::vector<int64_t> averaged(const RolloutIndex& rollout,
                              const EstimatorKnobs& knobs) {
  auto group = row_groups(rollout, knobs);
  if (knobs.source != EstimatorKnobs::Source::rollout) return group;
  std::map<std::pair<int64_t, int64_t>, int64_t> number;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t step = rollout.state_step[rollout.row_state[r]];
    const auto next = std::ssize(number);
    group[r] = number.emplace(std::pair(group[r], step), next).first->second;
  }
  return group;
}

}  // namespace

ControlVariate control_variate(const Rollout& rollout,
                               const StateOutputs& slopes,
                               const EstimatorKnobs& knobs) {
  ControlVariate out{products(rollout, slopes),
                     std::vector<double>(rollout.rows(), 1)};
  if (knobs.baseline != Baseline::mean &&
      knobs.baseline != Baseline::leave_one_out) {
    return out;
  }
  const auto group = averaged(rollout, knobs);
  double* value = out.value.mutable_data_ptr<double>();
  struct Sum {
    double of_values = 0, members = 0;
  };
  std::map<int64_t, Sum> sums;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    sums[group[r]].of_values += value[r];
    sums[group[r]].members += 1;
  }
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const auto& sum = sums[group[r]];
    value[r] -= sum.of_values / sum.members;
    out.share[r] = 1 - 1 / sum.members;
  }
  return out;
}

void apply(const ControlVariate& variate, const StateOutputs& slopes,
           const std::vector<double>& coefficient, const RolloutIndex& rollout,
           Guidance& guidance) {
  if (std::all_of(coefficient.begin(), coefficient.end(),
                  [](double c) { return c == 0; })) {
    return;
  }
  const auto trained = guidance.advantages.trained.contiguous();
  auto left = guidance.advantages.value.to(at::kDouble);
  std::map<int64_t, double> made_up;  // of a state
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (!trained.const_data_ptr<bool>()[r]) continue;
    const int64_t state = rollout.row_state[r];
    const double c = coefficient.at(rollout.state_step[state]);
    left.mutable_data_ptr<double>()[r] -=
        c * variate.value.const_data_ptr<double>()[r];
    made_up[state] = c * variate.share[r];
  }
  std::vector<double> factor;
  for (const auto& [state, size] : made_up) {
    guidance.slope.states.push_back(state);
    factor.push_back(size);
  }
  guidance.slope.y = slopes.of(guidance.slope.states) *
                     torch::tensor(factor, at::kFloat).view({-1, 1, 1, 1});
  guidance.advantages.value = left.to(at::kFloat);
}

FitSums::FitSums(const RolloutIndex& rollout, const Advantages& advantages,
                 const torch::Tensor& prediction)
    : aa(rollout.transitions.size(), 0), ah(aa), hh(aa) {
  const auto alive = advantages.alive.contiguous();
  const auto value = advantages.value.to(at::kDouble);
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (!alive.const_data_ptr<bool>()[r]) continue;
    const int64_t step = rollout.state_step[rollout.row_state[r]];
    const double a = value.const_data_ptr<double>()[r];
    const double h = prediction.const_data_ptr<double>()[r];
    aa[step] += a * a;
    ah[step] += a * h;
    hh[step] += h * h;
  }
}

std::vector<double> FitSums::shares() const {
  std::vector<double> out;
  for (size_t i = 0; i < aa.size(); ++i) {
    const double both = aa[i] * hh[i];
    out.push_back(both > 0 ? ah[i] * ah[i] / both : NAN);
  }
  return out;
}

std::vector<double> RunningFit::coefficients(int64_t steps) const {
  std::vector<double> out(steps, 0);
  for (size_t i = 0; i < out.size() && i < hh_.size(); ++i) {
    if (hh_[i] > 0) out[i] = ah_[i] / hh_[i];
  }
  return out;
}

void RunningFit::add(const FitSums& epoch) {
  ah_.resize(epoch.ah.size(), 0);
  hh_.resize(epoch.hh.size(), 0);
  for (size_t i = 0; i < ah_.size(); ++i) {
    ah_[i] = decay_ * ah_[i] + epoch.ah[i];
    hh_[i] = decay_ * hh_[i] + epoch.hh[i];
  }
}

torch::Tensor RunningFit::state() const {
  return at::stack(
      {torch::tensor(ah_, at::kDouble), torch::tensor(hh_, at::kDouble)});
}

void RunningFit::load_state(const torch::Tensor& state) {
  RSM_CHECK(state.dim() == 2 && state.size(0) == 2 &&
                state.scalar_type() == at::kDouble,
            "[surrogate] the saved fit is ", state.sizes(), " ", state.dtype(),
            "; two rows of float64, one number a sampler step, are needed");
  const auto row = [&](int64_t i) {
    const auto numbers = state[i].contiguous();
    const double* first = numbers.const_data_ptr<double>();
    return std::vector<double>(first, first + numbers.numel());
  };
  ah_ = row(0);
  hh_ = row(1);
}

}  // namespace rsm
