// Residual grad-DB's lesson: forward and backward steps agree.

#include "rsm/base/square_sum.h"
#include "rsm/estimators/reward_gradient.h"
#include "rsm/objective/strength.h"
#include "rsm/values/lesson.h"
#include "rsm/values/states.h"

namespace rsm {
namespace {

/** What a network says of steps: its outputs, and the slope of the steps'
 * log-density in their starts. */
struct StepScores {
  torch::Tensor y, backward;  ///< [K,C,H,W]
};

class BalanceLesson {
 public:
  explicit BalanceLesson(const Classroom& room)
      : room_(room),
        knobs_(room.method.estimator.gradient.value),
        states_(room),
        conditions_(room.sampled.conditions_of(states_.numbers())),
        x_(states_.x()),
        t_(states_.t()),
        next_(states_.next()),
        a_x_(states_.column([](const Transition& s) { return s.a_x; })),
        m_y_(states_.column([](const Transition& s) { return s.m_y; })),
        per_variance_(states_.column(
            [](const Transition& s) { return 1 / (s.s * s.s); })) {}

  Lesson taught() {
    const auto inner = 1 - states_.last();
    const auto t_next = states_.next_t();
    const auto g_next = room_.value.predict(next_, t_next, conditions_);
    const auto reward = reward_term(room_.guidance.directions, false);
    const auto policy = scores_of(room_.parts.policy);
    const auto reference = scores_of(room_.parts.reference);

    Lesson out;
    out.x = next_;
    out.t = t_next;
    out.prompt = states_.prompt_numbers();
    out.value_norm = norms(inner * g_next);
    out.guidance_norm = norms(reward);
    // m_y / s^2 of it is g; none at the last steps.
    out.shift = {inner * g_next / (m_y_ * per_variance_), states_.numbers()};

    const double share = states_.share();
    const auto forward =
        inner *
        (m_y_ * per_variance_ * (policy.y - reference.y) - reward - g_next);
    out.losses["value_forward"] = share * square_sum(forward);
    const auto ends = states_.last() * g_next;
    out.losses["value_terminal"] = knobs_.terminal * share * square_sum(ends);
    out.slope = 2 * share * (knobs_.terminal * ends - forward);
    if (knobs_.backward > 0) {
      add_backward(policy.backward - reference.backward, inner, out);
    }
    check_finite(out, room_.method);
    return out;
  }

 private:
  StepScores scores_of(Denoiser& network) const {
    StepScores out;
    if (knobs_.backward == 0) {
      out.y = network.predict(x_, t_, conditions_);
      return out;
    }
    out.y = at::empty_like(x_);
    const auto missed = [&](int64_t first, int64_t count) {
      const auto part = [&](const torch::Tensor& all) {
        return all.slice(0, first, first + count);
      };
      return part(per_variance_) *
             (part(next_) - part(a_x_) * part(x_) - part(m_y_) * part(out.y));
    };
    const auto through = network.pull_back(
        x_, t_, conditions_,
        [&](int64_t first, int64_t count, const torch::Tensor& y) {
          out.y.slice(0, first, first + count).copy_(y);
          return (m_y_.slice(0, first, first + count) * missed(first, count))
              .to(y.device());
        });
    out.backward = a_x_ * missed(0, states_.count()) + through;
    return out;
  }

  /** R of a reward's gradients at what the steps lead to, or start from. */
  torch::Tensor reward_term(const Directions& directions, bool start) const {
    std::vector<int64_t> which;
    for (const int64_t s : states_.numbers()) {
      which.push_back(directions.of_row.at(s));
    }
    const auto weight = states_.column([&](Transition step) {
      if (start) step.signal_next = room_.parts.path.signal(step.t);
      return 0.5 * step.s * step.s * strength(room_.method.strength, step);
    });
    return weight *
           directions.value.index_select(0, torch::tensor(which, at::kLong));
  }

  /** Gradients at the states themselves. */
  Directions gradients_at_states() const {
    const auto& knobs = room_.method.estimator.gradient;
    Directions out;
    out.of_row.assign(room_.sampled.rollout.rows(), 0);
    for (int64_t k = 0; k < states_.count(); ++k) {
      out.of_row[states_.numbers()[k]] = k;
    }
    out.value =
        room_.epoch.clipped(gradients_at(states_.nodes(), room_.sampled, knobs,
                                         room_.parts, room_.epoch)
                                .gradient);
    return out;
  }

  void add_backward(const torch::Tensor& apart, const torch::Tensor& inner,
                    Lesson& out) const {
    const auto g = room_.value.predict(x_, t_, conditions_);
    const auto residual =
        inner * (apart + reward_term(gradients_at_states(), true) + g);
    const double weight = knobs_.backward * states_.share();
    out.losses["value_backward"] = weight * square_sum(residual);
    out.x = at::cat({out.x, x_});
    out.t = at::cat({out.t, t_});
    out.slope = at::cat({out.slope, 2 * weight * residual});
    const auto own = out.prompt;
    out.prompt.insert(out.prompt.end(), own.begin(), own.end());
  }

  const Classroom& room_;
  const ValueKnobs& knobs_;
  PathStates states_;
  ConditionRows conditions_;
  torch::Tensor x_, t_, next_;
  torch::Tensor a_x_, m_y_, per_variance_;  ///< [K,1,1,1]
};

}  // namespace

Lesson balance_lesson(const Classroom& room) {
  return BalanceLesson(room).taught();
}

}  // namespace rsm
