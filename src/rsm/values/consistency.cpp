// VGG-Flow's lesson: the value's gradient is carried by the flow.

#include <algorithm>

#include "rsm/base/square_sum.h"
#include "rsm/estimators/reward_gradient.h"
#include "rsm/objective/strength.h"
#include "rsm/values/lesson.h"
#include "rsm/values/states.h"

namespace rsm {
namespace {

/** The timesteps that the release counts time in. */
constexpr double kTimesteps = 1000;

class ConsistencyLesson {
 public:
  explicit ConsistencyLesson(const Classroom& room)
      : room_(room),
        knobs_(room.method.estimator.gradient.value),
        states_(room),
        conditions_(room.sampled.conditions_of(states_.numbers())),
        x_(states_.x()),
        t_(states_.t()),
        g_(room.value.predict(x_, t_, conditions_)),
        slope_(at::zeros_like(g_)) {}

  Lesson taught() {
    Lesson out;
    out.value_norm = norms(g_);
    out.guidance_norm = norms(acting());
    out.shift = {g_, states_.numbers()};
    add_terminal(out);
    out.x = x_;
    out.t = t_;
    out.prompt = states_.prompt_numbers();
    if (knobs_.consistency > 0) {
      add_consistency(out);
    } else {
      out.slope = slope_;
    }
    check_finite(out, room_.method);
    return out;
  }

 private:
  /** h(t) of times [K]. */
  torch::Tensor strength_at(const torch::Tensor& t) const {
    std::vector<float> out;
    for (int64_t k = 0; k < states_.count(); ++k) {
      auto step = states_.step(k);
      step.t = t[k].item<double>();
      step.t_next = 0;  // of no account to the shapes that there are
      out.push_back(
          static_cast<float>(guidance_strength(room_.method.strength, step)));
    }
    return torch::tensor(out).view({-1, 1, 1, 1});
  }

  /** What of the reward's gradient is added to outputs, its sign turned. */
  torch::Tensor acting() const {
    std::vector<int64_t> which;
    for (const int64_t s : states_.numbers()) {
      which.push_back(room_.guidance.directions.of_row.at(s));
    }
    return strength_at(t_) * room_.guidance.directions.value.index_select(
                                 0, torch::tensor(which, at::kLong));
  }

  /** u at other points of the same paths, where g is known. */
  torch::Tensor added(const torch::Tensor& x, const torch::Tensor& t,
                      const torch::Tensor& g) const {
    const auto& parts = room_.parts;
    const auto y = parts.policy.predict(x, t, conditions_);
    std::vector<float> of_x, of_y;
    for (int64_t k = 0; k < states_.count(); ++k) {
      const auto by = parts.path.prediction(t[k].item<double>());
      of_x.push_back(static_cast<float>(by.x));
      of_y.push_back(static_cast<float>(by.y));
    }
    const auto by_x = torch::tensor(of_x).view({-1, 1, 1, 1});
    const auto by_y = torch::tensor(of_y).view({-1, 1, 1, 1});
    const auto of_picture =
        particle_gradient(by_x * x + by_y * y, states_.prompts(),
                          states_.nodes(), room_.method.estimator.gradient,
                          parts, room_.epoch)
            .gradient;
    return g - strength_at(t) * room_.epoch.clipped(by_x * of_picture);
  }

  void add_terminal(Lesson& out) {
    const auto last = states_.last();
    const double weight = knobs_.terminal * states_.share();
    slope_ += 2 * weight * last * g_;
    out.losses["value_terminal"] = weight * square_sum(last * g_);
  }

  void add_consistency(Lesson& out) {
    const auto& method = room_.method;
    auto& reference = room_.parts.reference;
    const double e = knobs_.difference;
    const auto step = at::minimum(at::full_like(t_, e), t_ / 2);
    const auto earlier = t_ - step;
    const double per_time = method.as_published ? 1 / kTimesteps : 1;
    // As float32 has it, not as it was meant.
    const auto per_step = (per_time / (t_ - earlier)).view({-1, 1, 1, 1});

    const auto u = added(x_, t_, g_);
    const auto v = reference.predict(x_, t_, conditions_);
    const auto turned = x_ + e * u;
    const auto carried = x_ + e * (v + u);
    const auto g_earlier = room_.value.predict(x_, earlier, conditions_);
    const auto g_carried = room_.value.predict(carried, t_, conditions_);
    const double scale = method.strength.scale;
    const double unit = method.as_published ? 1 / (scale * scale) : 1;
    auto q = unit * (per_step * (added(x_, earlier, g_earlier) - u) -
                     (added(carried, t_, g_carried) - u) / e);
    const double weight = knobs_.consistency * states_.share();
    const auto back = reference.pull_back(
        turned, t_, conditions_,
        [&](int64_t first, int64_t count, const torch::Tensor& y) {
          const auto part = [&](const torch::Tensor& all) {
            return all.slice(0, first, first + count);
          };
          const auto moved = y.to(at::kCPU, at::kFloat) - part(v);
          part(q).sub_(moved, unit / e);
          return (2 * weight * unit * part(q)).to(y.device());
        });
    out.losses["value_consistency"] = weight * square_sum(q);
    const auto down = 2 * weight * unit * q;  // dL / d what q is `unit` times
    out.x = at::cat({x_, x_, carried});
    out.t = at::cat({t_, earlier, t_});
    out.slope = at::cat({slope_ + down / e - per_step * down - back,
                         per_step * down, -down / e});
    const auto own = states_.prompt_numbers();
    for (int i = 0; i < 2; ++i) {
      out.prompt.insert(out.prompt.end(), own.begin(), own.end());
    }
  }

  const Classroom& room_;
  const ValueKnobs& knobs_;
  PathStates states_;
  ConditionRows conditions_;
  torch::Tensor x_, t_, g_;
  torch::Tensor slope_;  ///< of g_
};

}  // namespace

Lesson consistency_lesson(const Classroom& room) {
  return ConsistencyLesson(room).taught();
}

}  // namespace rsm
