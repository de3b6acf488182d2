#include "rsm/objective/rows.h"

#include <algorithm>
#include <map>

#include "rsm/base/doubles.h"
#include "rsm/base/error.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

using ClipIn = RegularisationKnobs::ClipIn;
using Importance = RegularisationKnobs::Importance;
using Mask = RegularisationKnobs::Mask;
using Shape = StrengthKnobs::Shape;

/** Of KlForm::unweighted. Source: the release of arXiv 2604.17415, its
 * diffusion runs' anchors, which leave PCPO's weight unscaled. */
constexpr double kUnweightedKl = 4.5;

/** Of KlForm::elbo. Source: the release of arXiv 2509.25050. */
constexpr double kElboLevel = 0.7;
constexpr double kElboLatest = 0.99;

/** kappa_i = Kbar / K_i of branches, 1 of other rows. */
class Balance {
 public:
  Balance(const EstimatorKnobs& knobs, const RolloutIndex& rollout)
      : on_(knobs.source == EstimatorKnobs::Source::branches),
        rollout_(rollout) {
    for (const int64_t state : rollout.row_state) {
      if (rollout.is_forward(state)) continue;
      ++rows_[place_of(state)];
      ++all_;
    }
  }
  double mean_rows() const {
    return on_ && !rows_.empty()
               ? static_cast<double>(all_) / static_cast<double>(rows_.size())
               : static_cast<double>(on_ ? 0 : 1);
  }
  double kappa(int64_t state) const {
    return on_ ? mean_rows() / static_cast<double>(rows_.at(place_of(state)))
               : 1;
  }

 private:
  /** Root and step: copies of a state stand at one. */
  std::pair<int64_t, int64_t> place_of(int64_t state) const {
    return {rollout_.state_root[state], rollout_.state_step[state]};
  }

  bool on_;
  const RolloutIndex& rollout_;
  int64_t all_ = 0;
  std::map<std::pair<int64_t, int64_t>, int64_t> rows_;
};

void check_states(const RolloutIndex& rollout, const Advantages& advantages,
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
  }
}

/** [R] bool: rows that count in the policy's mean. */
torch::Tensor live_rows(Mask mask, const Advantages& advantages) {
  const auto alive = advantages.alive.cpu().contiguous();
  switch (mask) {
    case Mask::policy:
    case Mask::whole:
      return alive;
    case Mask::rows:
      return alive.logical_and(advantages.differs.cpu());
    case Mask::none:
      return advantages.trained.cpu().contiguous();
  }
  throw Error("[update_weights] a mask outside its enum");
}

}  // namespace

std::pair<int64_t, int64_t> rows_of(const RolloutIndex& rollout,
                                    int64_t state) {
  const auto& rows = rollout.row_state;
  const auto [first, last] = std::equal_range(rows.begin(), rows.end(), state);
  return {first - rows.begin(), last - rows.begin()};
}

double kl_factor(const RegularisationKnobs& knobs,
                 const Transition& transition) {
  if (knobs.beta == 0) return 0;
  const double exact = 0.5 * knobs.beta * transition.w() * transition.w();
  switch (knobs.kl_form) {
    case RegularisationKnobs::KlForm::exact:
      return exact;
    case RegularisationKnobs::KlForm::heuristic:
      return exact * transition.dt();
    case RegularisationKnobs::KlForm::unweighted:
      return 0.5 * knobs.beta * kUnweightedKl * kUnweightedKl;
    case RegularisationKnobs::KlForm::output:
      return knobs.beta;
    case RegularisationKnobs::KlForm::score:
      return 2 * exact / (transition.s * transition.s);
    case RegularisationKnobs::KlForm::elbo: {
      const double t = transition.t;
      return 0.5 * knobs.beta * (1 - std::min(t, kElboLatest)) /
             (kElboLevel * kElboLevel * t);
    }
    case RegularisationKnobs::KlForm::short_stride:
      return exact * transition.short_stride_ratio;
  }
  throw Error("[update_weights] a KL form outside its enum");
}

Method forward_method(const Method& method) {
  const auto& knobs = method.estimator.forward;
  Method out = method;
  out.estimator.source = EstimatorKnobs::Source::pictures;
  out.estimator.pictures = knobs.pictures;
  out.estimator.forward = {};
  out.strength = {.shape = knobs.shape};
  out.regularisation.beta = knobs.beta;
  out.regularisation.old = 0;
  out.regularisation.kl_form = RegularisationKnobs::KlForm::output;
  out.regularisation.pull_rows = true;
  out.regularisation.anchors = false;
  out.regularisation.anchor_share = 0;
  out.regularisation.importance = Importance::none;
  return out;
}

namespace {

/** Of states that are all forward rows' or none. */
UpdateWeights weights_among(const Method& method, const RolloutIndex& rollout,
                            const Advantages& advantages,
                            const std::vector<int64_t>& states) {
  const Balance balance(method.estimator, rollout);
  const auto mask = method.regularisation.mask;
  const auto counted = live_rows(mask, advantages);
  const bool* live = counted.const_data_ptr<bool>();
  const auto pull = doubles_of(advantages.pull);
  UpdateWeights out;
  out.row.assign(rollout.rows(), 0);
  out.k_ref.assign(rollout.states(), 0);
  out.k_old.assign(rollout.states(), 0);
  for (const int64_t state : states) {
    const auto [first, last] = rows_of(rollout, state);
    out.rows += last - first;
    out.live_rows += std::count(live + first, live + last, true);
    out.anchors += first == last ? 1 : 0;
  }
  const bool whole = mask == Mask::whole;
  const bool mask_kl = whole || (mask == Mask::rows && out.live_rows > 0);
  const auto kl_rows =
      static_cast<double>(mask_kl && !whole ? out.live_rows : out.rows);
  const auto policy_rows =
      static_cast<double>(whole ? out.rows : out.live_rows);
  const auto anchors = static_cast<double>(out.anchors);
  // Else a state's pull would depend on what the shuffle put beside it.
  const bool averaged = !method.regularisation.pull_rows ||
                        (out.rows == 0 && !method.as_published);
  const double anchor =
      averaged
          ? 1 / anchors
          : balance.mean_rows() / (method.as_published ? anchors : kl_rows);
  for (const int64_t state : states) {
    const auto [first, last] = rows_of(rollout, state);
    double kl_weight = 0, held = 0;  // of which to the reference
    if (first == last && method.regularisation.anchors) {
      kl_weight = held = anchor;
    }
    for (int64_t r = first; r < last; ++r) {
      const double share = balance.kappa(state);
      if (live[r]) out.row[r] = share / policy_rows;
      if (method.regularisation.pull_rows && (live[r] || !mask_kl)) {
        kl_weight += share / kl_rows;
        held += share / kl_rows * (pull.empty() ? 1 : pull[r]);
      }
    }
    if (kl_weight > 0) {
      out.k_ref[state] =
          held * kl_factor(method.regularisation, rollout.transition_of(state));
      out.k_old[state] = kl_weight * method.regularisation.old;
    }
  }
  return out;
}

/** Adds what others weigh, so many times. */
void add(UpdateWeights& out, const UpdateWeights& others, double times) {
  const auto each = [&](std::vector<double>& to,
                        const std::vector<double>& from) {
    for (size_t i = 0; i < to.size(); ++i) to[i] += times * from[i];
  };
  each(out.row, others.row);
  each(out.k_ref, others.k_ref);
  each(out.k_old, others.k_old);
  out.rows += others.rows;
  out.live_rows += others.live_rows;
  out.anchors += others.anchors;
}

}  // namespace

UpdateWeights update_weights(const Method& method, const RolloutIndex& rollout,
                             const Advantages& advantages,
                             const std::vector<int64_t>& states) {
  check_states(rollout, advantages, states);
  if (rollout.noised_from == 0) {
    return weights_among(method, rollout, advantages, states);
  }
  std::vector<int64_t> others, forward;
  for (const int64_t state : states) {
    (rollout.is_forward(state) ? forward : others).push_back(state);
  }
  auto out = weights_among(method, rollout, advantages, others);
  add(out, weights_among(forward_method(method), rollout, advantages, forward),
      method.estimator.forward.weight);
  return out;
}

ScoreFactors score_factors(const Method& method, const Transition& transition) {
  const double kl = kl_factor(method.regularisation, transition);
  const double squared = transition.delta * transition.delta;
  const double half_w2 = 0.5 * transition.w() * transition.w();
  const bool first_order = method.estimator.is_first_order();
  const double old = first_order ? method.regularisation.old
                                 : row_factors(method, transition, 1).trust;
  const double g = strength(method.strength, transition);
  const double gamma = first_order
                           ? g * half_w2 / kl
                           : g * method.regularisation.beta / (kl / half_w2);
  return {kl / squared, gamma, old / squared, old == 0 ? 0 : old / kl};
}

RowFactors row_factors(const Method& method, const Transition& transition,
                       double advantage) {
  const double g = strength(method.strength, transition);
  const double s = transition.s;
  const auto& knobs = method.regularisation;
  const auto shape = method.strength.shape;
  RowFactors out{};
  if (method.estimator.is_first_order()) {
    out.guidance = 0.5 * g * advantage * transition.m_y;
    out.slope = g * transition.m_y;
    out.exponent = 1;
    out.post = 1;
    return out;
  }
  if (method.estimator.is_of_pictures() || method.estimator.is_of_pairs()) {
    const auto& pictures = method.estimator.pictures;  // plain of pairs
    const bool grows =
        !pictures.follows_gradients() &&
        pictures.coefficient != PictureKnobs::Coefficient::linear;
    out.guidance = 0.5 * g * advantage;
    out.trust = grows ? out.guidance : 0;
    out.slope = 1;
    out.exponent = g;
    out.square = grows ? 1 : 0;
    out.post = 1;
    return out;
  }
  out.slope = transition.m_y / s;
  out.exponent = 1;
  out.square = 1;
  const auto clip_in =
      knobs.importance == Importance::none ? ClipIn::log_ratio : knobs.clip_in;
  switch (clip_in) {
    case ClipIn::log_ratio:
    case ClipIn::divergence:
      break;
    case ClipIn::strength:
      out.exponent = g;
      // Where the strength stands for another weight than w, matching is of
      // that weight: T1 has its square.
      if ((shape == Shape::proportional || shape == Shape::uniform) &&
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
