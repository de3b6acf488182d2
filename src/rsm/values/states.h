#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/values/lesson.h"

namespace rsm {

/** The trained states of a rollout of trajectories, as lessons need them. */
class PathStates {
 public:
  explicit PathStates(const Classroom& room)
      : rollout_(room.sampled.rollout), states_(room.guidance.trained) {}

  const std::vector<int64_t>& numbers() const { return states_; }
  int64_t count() const { return static_cast<int64_t>(states_.size()); }
  bool is_last(int64_t place) const {
    return rollout_.state_step[states_[place]] + 1 ==
           std::ssize(rollout_.transitions);
  }
  const Transition& step(int64_t place) const {
    return rollout_.transition_of(states_[place]);
  }

  /** [K] float32 of their steps. */
  template <typename F>
  torch::Tensor numbers_of(const F& number_of) const {
    std::vector<float> out;
    for (int64_t k = 0; k < count(); ++k) {
      out.push_back(static_cast<float>(number_of(step(k))));
    }
    return torch::tensor(out);
  }
  /** The same as [K,1,1,1]. */
  template <typename F>
  torch::Tensor column(const F& number_of) const {
    return numbers_of(number_of).view({-1, 1, 1, 1});
  }
  /** [K,1,1,1] 1 at last steps of paths, else 0. */
  torch::Tensor last() const {
    std::vector<float> out;
    for (int64_t k = 0; k < count(); ++k) out.push_back(is_last(k) ? 1 : 0);
    return torch::tensor(out).view({-1, 1, 1, 1});
  }

  torch::Tensor x() const { return picked(rollout_.x); }
  torch::Tensor t() const { return times_of(rollout_, states_); }
  /** Where their steps led. */
  torch::Tensor next() const {
    auto out = at::empty_like(x());
    for (int64_t k = 0; k < count(); ++k) {
      out[k].copy_(is_last(k)
                       ? rollout_.latents[rollout_.state_root[states_[k]]]
                       : rollout_.x[states_[k] + 1]);
    }
    return out;
  }
  torch::Tensor next_t() const {
    return numbers_of([](const Transition& step) { return step.t_next; });
  }
  /** Of the paths that they are part of (PathNodes). */
  std::vector<int64_t> nodes() const {
    const PathNodes all{std::ssize(rollout_.transitions)};
    std::vector<int64_t> out;
    for (const int64_t s : states_) out.push_back(all.of_state(s));
    return out;
  }
  std::vector<int64_t> prompt_numbers() const {
    std::vector<int64_t> out;
    for (const int64_t s : states_) out.push_back(rollout_.state_prompt[s]);
    return out;
  }
  Prompts prompts() const {
    Prompts out;
    for (const int64_t p : prompt_numbers()) out.push_back(rollout_.prompts[p]);
    return out;
  }

  /** Of all trained latents' elements, 1 / their count: what a mean weighs. */
  double share() const {
    return 1 / static_cast<double>(count() * rollout_.x[0].numel());
  }

 private:
  torch::Tensor picked(const torch::Tensor& all) const {
    return all.index_select(0, torch::tensor(states_, at::kLong));
  }

  const Rollout& rollout_;
  const std::vector<int64_t>& states_;
};

/** Throws rsm::Error where a number of the lesson is not finite. */
inline void check_finite(const Lesson& lesson, const Method& method) {
  RSM_CHECK(lesson.slope.isfinite().all().item<bool>(),
            "[value network] its loss is not finite; lower strength.scale (",
            method.strength.scale, ") or gradient.value.lr (",
            method.estimator.gradient.value.lr, ")");
}

}  // namespace rsm
