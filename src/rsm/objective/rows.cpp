#include "rsm/objective/rows.h"

#include <algorithm>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

using ClipIn = RegularisationKnobs::ClipIn;
using Importance = RegularisationKnobs::Importance;
using Mask = RegularisationKnobs::Mask;
using Shape = StrengthKnobs::Shape;

/** Of KlForm::even. Source: the release of arXiv 2604.17415, its diffusion
 * runs' anchors, which leave PCPO's weight unscaled. */
constexpr double kEvenKlWeight = 4.5;

/** An advantage below this is 0 but for the rounding of its mean. */
constexpr double kNoAdvantage = 1e-12;

int64_t steps_of(const Rollout& rollout) {
  return static_cast<int64_t>(rollout.transitions.size());
}

const Transition& transition_of(const Rollout& rollout, int64_t state) {
  return rollout.transitions[rollout.state_step[state]];
}

/** First and last + 1 of a state's rows, which are sorted by state. */
std::pair<int64_t, int64_t> rows_of(const Rollout& rollout, int64_t state) {
  const auto& rows = rollout.row_state;
  const auto [first, last] = std::equal_range(rows.begin(), rows.end(), state);
  return {first - rows.begin(), last - rows.begin()};
}

/** kappa_i: Kbar / K_i of branches, 1 of other rows. */
double kappa(const Method& method, const Rollout& rollout, int64_t state) {
  if (method.estimator.source != EstimatorKnobs::Source::branches) return 1;
  const int64_t steps = steps_of(rollout);
  const int64_t here =
      rows_at(method.estimator, rollout.state_step[state], steps);
  return mean_rows(method.estimator, steps) / static_cast<double>(here);
}

/** Factor of <(y - y_ref)^2> in beta KL. */
double kl_factor(const RegularisationKnobs& knobs,
                 const Transition& transition) {
  if (knobs.beta == 0) return 0;
  const double exact = 0.5 * knobs.beta * transition.w() * transition.w();
  switch (knobs.kl_form) {
    case RegularisationKnobs::KlForm::exact:
      return exact;
    case RegularisationKnobs::KlForm::heuristic:
      return exact * transition.dt();
    case RegularisationKnobs::KlForm::even:
      return 0.5 * knobs.beta * kEvenKlWeight * kEvenKlWeight;
  }
  throw Error("[update_weights] a KL form outside its enum");
}

void check_states(const Method& method, const Rollout& rollout,
                  const Advantages& advantages,
                  const std::vector<int64_t>& states) {
  RSM_CHECK(advantages.value.size(0) == rollout.rows(), "[update_weights] ",
            advantages.value.size(0), " advantages for ", rollout.rows(),
            " rows; one a row is needed");
  std::vector<bool> seen(rollout.states(), false);
  for (const int64_t state : states) {
    RSM_CHECK(state >= 0 && state < rollout.states() && !seen[state],
              "[update_weights] state ", state, " of ", rollout.states(),
              " is out of range or listed twice; an update takes each of its "
              "states once");
    seen[state] = true;
    const auto [first, last] = rows_of(rollout, state);
    const int64_t step = rollout.state_step[state];
    const int64_t branches = rows_at(method.estimator, step, steps_of(rollout));
    const int64_t expected =
        rollout.shared ? branches : std::min<int64_t>(branches, 1);
    RSM_CHECK(last - first == expected, "[update_weights] state ", state,
              " at step ", step, " has ", last - first, " rows, the method ",
              expected, "; roll out with the branches the method lists");
  }
}

/** [R] bool: rows that count in the policy's mean. */
torch::Tensor live_rows(Mask mask, const Advantages& advantages) {
  const auto alive = advantages.alive.cpu().contiguous();
  switch (mask) {
    case Mask::policy:
      return alive;
    case Mask::rows:
      return alive.logical_and(advantages.value.cpu().abs() > kNoAdvantage);
    case Mask::none:
      return advantages.trained.cpu().contiguous();
  }
  throw Error("[update_weights] a mask outside its enum");
}

torch::Tensor scalars(const std::vector<double>& values, torch::Device device) {
  return torch::tensor(values, torch::kFloat64).to(device);
}

/** The noise of each row, in y_old's dtype. */
torch::Tensor row_noise(const Rollout& rollout, const torch::Tensor& y_old,
                        const std::vector<int64_t>& row,
                        const std::vector<int64_t>& row_state) {
  std::vector<double> a_x, m_y, s;
  for (const int64_t state : row_state) {
    const Transition& transition = transition_of(rollout, state);
    a_x.push_back(transition.a_x);
    m_y.push_back(transition.m_y);
    s.push_back(transition.s);
  }
  const auto like_y = y_old.options();
  const auto column = [&](const std::vector<double>& values) {
    return scalars(values, y_old.device()).to(like_y).view({-1, 1, 1, 1});
  };
  const auto index = torch::tensor(row, torch::kInt64);
  const auto state = torch::tensor(row_state, torch::kInt64);
  const auto pick = [&](const torch::Tensor& from, const torch::Tensor& which) {
    return from.index_select(0, which.to(from.device())).to(like_y);
  };
  return (pick(rollout.x_next, index) - column(a_x) * pick(rollout.x, state) -
          column(m_y) * pick(y_old, state)) /
         column(s);
}

}  // namespace

UpdateWeights update_weights(const Method& method, const Rollout& rollout,
                             const Advantages& advantages,
                             const std::vector<int64_t>& states) {
  check_states(method, rollout, advantages, states);
  const auto mask = method.regularisation.mask;
  const auto counted = live_rows(mask, advantages);
  const bool* live = counted.const_data_ptr<bool>();
  UpdateWeights out;
  out.row.assign(rollout.rows(), 0);
  out.k_ref.assign(rollout.states(), 0);
  for (const int64_t state : states) {
    const auto [first, last] = rows_of(rollout, state);
    out.rows += last - first;
    out.live_rows += std::count(live + first, live + last, true);
    out.anchors += first == last ? 1 : 0;
  }
  const bool mask_kl = mask == Mask::rows && out.live_rows > 0;
  const auto kl_rows = static_cast<double>(mask_kl ? out.live_rows : out.rows);
  const double mean = mean_rows(method.estimator, steps_of(rollout));
  const auto anchors = static_cast<double>(out.anchors);
  // Else a state's pull would depend on what the shuffle put beside it.
  const bool averaged = !method.regularisation.pull_rows ||
                        (out.rows == 0 && !method.as_published);
  const double anchor =
      averaged ? 1 / anchors : mean / (method.as_published ? anchors : kl_rows);
  for (const int64_t state : states) {
    const auto [first, last] = rows_of(rollout, state);
    double kl_weight = 0;
    if (first == last && method.regularisation.anchors) kl_weight = anchor;
    for (int64_t r = first; r < last; ++r) {
      const double share = kappa(method, rollout, state);
      if (live[r]) out.row[r] = share / static_cast<double>(out.live_rows);
      if (method.regularisation.pull_rows && (live[r] || !mask_kl)) {
        kl_weight += share / kl_rows;
      }
    }
    if (kl_weight > 0) {
      out.k_ref[state] = kl_weight * kl_factor(method.regularisation,
                                               transition_of(rollout, state));
    }
  }
  return out;
}

std::vector<int64_t> trained_states(const Method& method,
                                    const Rollout& rollout, uint64_t seed) {
  std::vector<int64_t> states, anchors;
  for (int64_t state = 0; state < rollout.states(); ++state) {
    const auto [first, last] = rows_of(rollout, state);
    (first == last ? anchors : states).push_back(state);
  }
  const auto all = static_cast<int64_t>(anchors.size());
  const double share = method.regularisation.anchor_share;
  const int64_t wanted =
      share > 0
          ? std::min(all, static_cast<int64_t>(
                              share * static_cast<double>(rollout.rows())))
          : all;
  const auto order = counted_permutation(seed, all);
  for (int64_t k = 0; k < wanted; ++k) {
    states.push_back(anchors[order[k]]);
  }
  std::sort(states.begin(), states.end());
  return states;
}

LossTerms loss_terms(const Method& method, const Rollout& rollout,
                     const torch::Tensor& y_old, const Advantages& advantages,
                     const UpdateWeights& weights,
                     const std::vector<int64_t>& states) {
  const torch::NoGradGuard no_grad;
  RSM_CHECK(y_old.sizes() == rollout.x.sizes(), "[loss_terms] y_old of shape ",
            y_old.sizes(), " for states of shape ", rollout.x.sizes(),
            "; one output a state of the rollout is needed");
  const auto value = advantages.value.cpu().contiguous();
  const float* advantage = value.const_data_ptr<float>();
  std::vector<int64_t> row, row_state, local_state;
  std::vector<double> k_ref;
  std::vector<double> guidance, trust, weight, a, slope, exponent, square, post;
  for (size_t local = 0; local < states.size(); ++local) {
    k_ref.push_back(weights.k_ref.at(states[local]));
    const auto [first, last] = rows_of(rollout, states[local]);
    for (int64_t r = first; r < last; ++r) {
      const RowFactors factors = row_factors(
          method, transition_of(rollout, states[local]), advantage[r]);
      row.push_back(r);
      row_state.push_back(states[local]);
      local_state.push_back(static_cast<int64_t>(local));
      weight.push_back(weights.row.at(r));
      a.push_back(advantage[r]);
      guidance.push_back(factors.guidance);
      trust.push_back(factors.trust);
      slope.push_back(factors.slope);
      exponent.push_back(factors.exponent);
      square.push_back(factors.square);
      post.push_back(factors.post);
    }
  }
  const auto device = y_old.device();
  const auto index = torch::tensor(states, torch::kInt64).to(device);
  LossTerms out;
  out.states.y_old = y_old.index_select(0, index);
  out.states.k_ref = scalars(k_ref, device);
  out.rows.state = torch::tensor(local_state, torch::kInt64).to(device);
  out.rows.eps = row_noise(rollout, y_old, row, row_state);
  out.rows.guidance = scalars(guidance, device);
  out.rows.trust = scalars(trust, device);
  out.rows.weight = scalars(weight, device);
  out.rows.advantage = scalars(a, device);
  out.rows.slope = scalars(slope, device);
  out.rows.exponent = scalars(exponent, device);
  out.rows.square = scalars(square, device);
  out.rows.post = scalars(post, device);
  out.rows.importance = method.regularisation.importance;
  out.rows.clip_range = method.regularisation.clip_range;
  return out;
}

ScoreFactors score_factors(const Method& method, const Transition& transition) {
  const double kl = kl_factor(method.regularisation, transition);
  const double squared = transition.delta * transition.delta;
  const double half_w2 = 0.5 * transition.w() * transition.w();
  return {kl / squared,
          strength(method.strength, transition) * method.regularisation.beta /
              (kl / half_w2),
          row_factors(method, transition, 1).trust / squared};
}

RowFactors row_factors(const Method& method, const Transition& transition,
                       double advantage) {
  const double g = strength(method.strength, transition);
  const double s = transition.s;
  const auto& knobs = method.regularisation;
  const auto shape = method.strength.shape;
  RowFactors out{};
  out.slope = transition.m_y / s;
  out.exponent = 1;
  out.square = 1;
  const auto clip_in =
      knobs.importance == Importance::none ? ClipIn::log_ratio : knobs.clip_in;
  switch (clip_in) {
    case ClipIn::log_ratio:
      break;
    case ClipIn::strength:
      out.exponent = g;
      // Where the strength stands for another weight than w, matching is of
      // that weight: T1 has its square.
      if ((shape == Shape::proportional || shape == Shape::even) &&
          knobs.importance == Importance::matching) {
        out.square = g;
      }
      break;
    case ClipIn::variance:
      out.exponent = s * s;
      break;
    case ClipIn::centred:
      out.exponent = s;
      out.square = 0;
      break;
  }
  out.post = g / out.exponent;
  out.guidance = 0.5 * g * advantage * out.slope;
  out.trust = 0.5 * g * advantage * out.slope * out.slope * out.square;
  return out;
}

}  // namespace rsm
