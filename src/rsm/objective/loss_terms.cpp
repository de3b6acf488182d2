// What the loss needs of rows and states, put together for a device.

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/objective/rows.h"

namespace rsm {
namespace {

/** What rows take from their time and advantage, while they are gathered. */
class RowNumbers {
 public:
  void add(size_t local_state, const RowFactors& f, double advantage,
           double weight, const Transition& step) {
    state_.push_back(static_cast<int64_t>(local_state));
    numbers_.insert(numbers_.end(),
                    {f.guidance, f.trust, weight, advantage, f.slope,
                     f.exponent, f.square, f.post, step.a_x, step.m_y, step.s});
  }

  struct Steps {
    torch::Tensor a_x, m_y, s;
  };
  /** All but the directions. */
  Steps put_into(LossRows& rows, torch::Device device) const {
    // One tensor for all, since each is moved to the device by itself.
    const auto columns = torch::tensor(numbers_, at::kDouble)
                             .view({std::ssize(state_), kNumbers})
                             .t()
                             .contiguous()
                             .to(device)
                             .unbind();
    rows.state = torch::tensor(state_, at::kLong).to(device);
    rows.guidance = columns[0];
    rows.trust = columns[1];
    rows.weight = columns[2];
    rows.advantage = columns[3];
    rows.slope = columns[4];
    rows.exponent = columns[5];
    rows.square = columns[6];
    rows.post = columns[7];
    return {columns[8], columns[9], columns[10]};
  }

 private:
  static constexpr int64_t kNumbers = 11;  // of a row
  std::vector<int64_t> state_;
  std::vector<double> numbers_;
};

/** Adds a row for each of the states that has a slope, and rows that weigh
 * something; returns their directions in host memory, undefined for none. */
torch::Tensor slopes_of(const Method& method, const Rollout& rollout,
                        const StateOutputs& slope, const UpdateWeights& weights,
                        const std::vector<int64_t>& states,
                        RowNumbers& numbers) {
  std::vector<torch::Tensor> directions;
  for (size_t local = 0; local < states.size(); ++local) {
    const int64_t state = states[local];
    if (!std::binary_search(slope.states.begin(), slope.states.end(), state)) {
      continue;
    }
    const auto [first, last] = rows_of(rollout, state);
    const double weight = std::accumulate(weights.row.begin() + first,
                                          weights.row.begin() + last, 0.0);
    const auto own = slope.of({state}).to(at::kDouble);
    const double size = std::sqrt(own.square().mean().item<double>());
    if (weight == 0 || size == 0) continue;
    const auto& step = rollout.transition_of(state);
    auto factors = row_factors(method, step, size);
    factors.trust = 0;
    factors.square = 0;
    numbers.add(local, factors, size, weight, step);
    directions.push_back(own / size);
  }
  return directions.empty() ? torch::Tensor() : at::cat(directions);
}

/** To the reference and to the old outputs, where any of the states has them.
 */
std::vector<Pull> pulls_of(const Outputs& outputs, const Guidance& guidance,
                           const UpdateWeights& weights,
                           const std::vector<int64_t>& states,
                           const torch::Tensor& old) {
  std::vector<double> k_ref, k_old;
  bool pulls = false, holds = false;
  for (const int64_t state : states) {
    k_ref.push_back(weights.k_ref.at(state));
    pulls = pulls || k_ref.back() != 0;
    k_old.push_back(weights.k_old.at(state));
    holds = holds || k_old.back() != 0;
  }
  const auto k = [&](const std::vector<double>& of_states) {
    return torch::tensor(of_states, at::kDouble).to(old.device());
  };
  std::vector<Pull> out;
  if (pulls) {
    auto towards = outputs.anchor().of(states).to(old.options());
    if (!guidance.shift.states.empty()) {
      towards = towards + guidance.shift.of(states).to(old.options());
    }
    out.push_back({towards, k(k_ref)});
  }
  if (holds) out.push_back({old, k(k_old)});
  return out;
}

/** Rows of `all` on another device, in a type. */
torch::Tensor picked(const torch::Tensor& all, const std::vector<int64_t>& rows,
                     torch::Device device, torch::ScalarType type) {
  return all.index_select(0, torch::tensor(rows, at::kLong).to(all.device()))
      .to(device, type);
}

}  // namespace

torch::Tensor row_noise(const torch::Tensor& x_next, const torch::Tensor& x,
                        const torch::Tensor& y, const torch::Tensor& a_x,
                        const torch::Tensor& m_y, const torch::Tensor& s) {
  const auto column = [&](const torch::Tensor& values) {
    return values.to(y.scalar_type()).view({-1, 1, 1, 1});
  };
  return (x_next - column(a_x) * x - column(m_y) * y) / column(s);
}

LossTerms loss_terms(const Method& method, const Rollout& rollout,
                     const Outputs& outputs, const Guidance& guidance,
                     const UpdateWeights& weights,
                     const std::vector<int64_t>& states, torch::Device device) {
  const torch::NoGradGuard no_grad;
  const auto value = guidance.advantages.value.cpu().contiguous();
  const float* advantage = value.const_data_ptr<float>();
  const auto old = outputs.old.of(states).to(device);
  const auto type = old.scalar_type();
  const auto forward =
      rollout.noised_from > 0 ? forward_method(method) : Method();
  RowNumbers numbers;
  std::vector<int64_t> row, row_state, is_forward;
  for (size_t local = 0; local < states.size(); ++local) {
    const auto& step = rollout.transition_of(states[local]);
    const bool noised = rollout.is_forward(states[local]);
    const auto& own = noised ? forward : method;
    const auto [first, last] = rows_of(rollout, states[local]);
    for (int64_t r = first; r < last; ++r) {
      numbers.add(local, row_factors(own, step, advantage[r]), advantage[r],
                  weights.row.at(r), step);
      is_forward.push_back(noised ? 1 : 0);
      row.push_back(r);
      row_state.push_back(states[local]);
    }
  }
  const auto slopes =
      slopes_of(method, rollout, guidance.slope, weights, states, numbers);
  LossTerms out;
  out.states.y_old = old;
  out.states.pulls = pulls_of(outputs, guidance, weights, states, old);
  const auto of_rows = numbers.put_into(out.rows, device);
  if (guidance.directions.empty()) {
    const auto own = [&](const torch::Tensor& all) {
      return all.slice(0, 0, std::ssize(row));
    };
    out.rows.direction =
        row_noise(picked(rollout.x_next, row, device, type),
                  picked(rollout.x, row_state, device, type),
                  old.index_select(0, own(out.rows.state)), own(of_rows.a_x),
                  own(of_rows.m_y), own(of_rows.s));
  } else {
    std::vector<int64_t> which;
    for (const int64_t r : row) {
      which.push_back(guidance.directions.of_row.at(r));
    }
    out.rows.direction = picked(guidance.directions.value, which, device, type);
  }
  if (slopes.defined()) {
    out.rows.direction = at::cat({out.rows.direction, slopes.to(device, type)});
  }
  out.rows.importance = method.regularisation.importance;
  out.rows.clip_range = method.regularisation.clip_range;
  out.rows.by_divergence =
      method.regularisation.clip_in == RegularisationKnobs::ClipIn::divergence;
  if (rollout.noised_from > 0) {
    out.rows.unclipped =
        torch::tensor(is_forward, at::kLong).to(device, at::kBool);
  }
  return out;
}

}  // namespace rsm
