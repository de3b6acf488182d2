#include "rsm/estimators/surrogate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/predicted_latents.h"

namespace rsm {
namespace {

constexpr const char* kPrefix = "surrogate.";
constexpr const char* kFit = "fit";
constexpr const char* kRewardMoments = "rewards";

/** Pictures of an update, at most. */
constexpr int64_t kPictures = 32;

/** [K,1,1,1] float32 of a number of each state's step. */
template <typename F>
torch::Tensor column(const RolloutIndex& rollout,
                     const std::vector<int64_t>& states, const F& number_of) {
  std::vector<float> numbers;
  for (const int64_t state : states) {
    numbers.push_back(
        static_cast<float>(number_of(rollout.transition_of(state))));
  }
  return torch::tensor(numbers).view({-1, 1, 1, 1});
}

/** Conditions of pictures. */
ConditionRows conditions_of(const Sampled& sampled,
                            const std::vector<int64_t>& pictures) {
  std::vector<int64_t> prompt;
  for (const int64_t i : pictures) {
    prompt.push_back(sampled.rollout.image_prompt[i]);
  }
  return {sampled.conditions, torch::tensor(prompt, at::kLong)};
}

/** Of samples: latents without noise. */
torch::Tensor no_noise(int64_t count) { return at::zeros({count}, at::kFloat); }

double correlation(const torch::Tensor& a, const torch::Tensor& b) {
  const auto x = a - a.mean(), y = b - b.mean();
  return ((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt())
      .item<double>();
}

const torch::Tensor& saved(const StateDict& state, const std::string& name) {
  const auto found = state.find(name);
  RSM_CHECK(found != state.end(), "[surrogate] no saved tensor \"", kPrefix,
            name, "\" among ", state.size(),
            ": the checkpoint is of another method");
  return found->second;
}

}  // namespace

void RunningMoments::add(const torch::Tensor& rewards) {
  const auto r = rewards.to(at::kDouble);
  count_ = decay_ * count_ + static_cast<double>(r.numel());
  sum_ = decay_ * sum_ + r.sum().item<double>();
  squares_ = decay_ * squares_ + r.square().sum().item<double>();
}

Moments RunningMoments::moments() const {
  Moments out;
  out.count = static_cast<int64_t>(std::ceil(count_));
  out.mean = sum_ / count_;
  const double variance = squares_ / count_ - out.mean * out.mean;
  out.deviation = std::sqrt(std::max(0.0, variance));
  return out;
}

torch::Tensor RunningMoments::standardised(const torch::Tensor& rewards) const {
  if (count_ == 0) {
    RunningMoments own(decay_);
    own.add(rewards);
    return own.standardised(rewards);
  }
  const auto by = moments();
  const auto centred = rewards.to(at::kDouble) - by.mean;
  const bool dead = by.deviation < std::max(kDeadSpread, by.rounding());
  return dead ? at::zeros_like(centred) : centred / by.deviation;
}

torch::Tensor RunningMoments::state() const {
  return torch::tensor({count_, sum_, squares_}, at::kDouble);
}

void RunningMoments::load_state(const torch::Tensor& state) {
  RSM_CHECK(state.numel() == 3 && state.scalar_type() == at::kDouble,
            "[surrogate] the saved rewards are ", state.sizes(), " ",
            state.dtype(), "; three float64 are needed");
  count_ = state[0].item<double>();
  sum_ = state[1].item<double>();
  squares_ = state[2].item<double>();
}

Surrogate::Surrogate(const Method& method, uint64_t seed,
                     const GradientParts& parts)
    : zeroth_order_(method, seed),
      knobs_(method.estimator),
      seed_(seed),
      parts_(parts),
      fit_(method.estimator.surrogate.decay),
      rewards_(method.estimator.surrogate.decay) {
  RSM_CHECK(parts.learnt != nullptr,
            "[surrogate] there is no network of the scorer; one is needed");
}

torch::Tensor Surrogate::through_network(
    const Sampled& sampled, const std::vector<int64_t>& states) const {
  const auto& rollout = sampled.rollout;
  const auto of_step = [&](const auto& number) {
    return column(rollout, states, number);
  };
  const auto mean = of_step([](const Transition& step) { return step.a_x; }) *
                        picked(rollout.x, states) +
                    of_step([](const Transition& step) { return step.m_y; }) *
                        picked(rollout.y, states);
  const auto t = of_step([](const Transition& step) { return step.t_next; });
  const auto by_x = of_step([&](const Transition& step) {
    return parts_.path.prediction(step.t_next).x;
  });
  const auto by_y = of_step([&](const Transition& step) {
    return parts_.path.prediction(step.t_next).y;
  });
  auto own = at::empty_like(mean);  // of the predicted picture
  const auto within = parts_.policy.pull_back(
      mean, t.flatten(), sampled.conditions_of(states),
      [&](int64_t first, int64_t count, const torch::Tensor& y) {
        const auto part = [&](const torch::Tensor& all) {
          return all.slice(0, first, first + count);
        };
        const auto picture =
            part(by_x) * part(mean) + part(by_y) * y.to(at::kCPU, at::kFloat);
        part(own).copy_(parts_.learnt->slope(
            picture, no_noise(count),
            sampled.conditions_of(
                {states.begin() + first, states.begin() + first + count})));
        return (part(by_y) * part(own)).to(y.device());
      });
  return by_x * own + within;
}

StateOutputs Surrogate::slopes(const Sampled& sampled) const {
  const auto& rollout = sampled.rollout;
  const auto states = states_with_rows(rollout);
  torch::Tensor slope;
  if (knobs_.surrogate.at == SurrogateKnobs::At::network) {
    slope = through_network(sampled, states);
  } else {
    const auto by_x = column(rollout, states, [&](const Transition& step) {
      return parts_.path.prediction(step.t_next).x;
    });
    slope = by_x *
            parts_.learnt->slope(predicted_latents(rollout, parts_.path, states,
                                                   picked(rollout.y, states)),
                                 no_noise(std::ssize(states)),
                                 sampled.conditions_of(states));
  }
  const auto s =
      column(rollout, states, [](const Transition& step) { return step.s; });
  return {s * slope, states};
}

void Surrogate::compare(const Sampled& sampled, Guidance& guidance) const {
  const auto& rollout = sampled.rollout;
  std::vector<int64_t> all(rollout.images());
  std::iota(all.begin(), all.end(), int64_t{0});
  const auto reward = rewards_.standardised(sampled.scores.value);
  const auto told = parts_.learnt
                        ->at(rollout.latents, no_noise(std::ssize(all)),
                             conditions_of(sampled, all))
                        .to(at::kDouble);
  guidance.numbers["surrogate_loss"] =
      (told - reward).square().mean().item<double>();
  guidance.numbers["surrogate_correlation"] = correlation(told, reward);
}

Guidance Surrogate::guide(const Sampled& sampled, int64_t epoch) {
  const auto& rollout = sampled.rollout;
  const int64_t steps = std::ssize(rollout.transitions);
  auto out = zeroth_order_.guide(sampled, epoch);
  compare(sampled, out);
  const auto slope = slopes(sampled);
  const auto variate = control_variate(rollout, slope, knobs_);
  RSM_CHECK(variate.value.isfinite().all().item<bool>(), "[surrogate] epoch ",
            epoch + 1, ": the scorer's slope is not finite; lower ",
            "estimator.surrogate.lr");
  sums_ = FitSums(rollout, out.advantages, variate.value);
  epoch_ = epoch;
  const double fixed = knobs_.surrogate.coefficient;
  const auto coefficient =
      fixed == 0 ? fit_.coefficients(steps) : std::vector<double>(steps, fixed);
  apply(variate, slope, coefficient, rollout, out);
  auto& told = out.by_step["surrogate_coefficient"];
  out.by_step["surrogate_share"] = sums_.shares();
  for (int64_t i = 0; i < steps; ++i) {
    told.push_back(sums_.hh[i] > 0 ? coefficient[i] : NAN);
  }
  out.evaluations += passes_for(rollout, knobs_.surrogate);
  return out;
}

std::vector<int64_t> Surrogate::pictures_of(int64_t update, int64_t all) const {
  const int64_t shares = (all + kPictures - 1) / kPictures;
  const int64_t share = update % shares;
  const auto order = counted_permutation(
      counted_seed(seed_, Purpose::update_order,
                   {static_cast<uint64_t>(epoch_), /*of the surrogate*/ 2,
                    static_cast<uint64_t>(update / shares)}),
      all);
  return {order.begin() + all * share / shares,
          order.begin() + all * (share + 1) / shares};
}

void Surrogate::learn(const Sampled& sampled, const Outputs&) {
  fit_.add(sums_);
  rewards_.add(sampled.scores.value);
  const auto reward = rewards_.standardised(sampled.scores.value);
  const auto& rollout = sampled.rollout;
  for (int64_t u = 0; u < knobs_.surrogate.updates; ++u) {
    const auto some = pictures_of(u, rollout.images());
    const auto x = picked(rollout.latents, some);
    const auto t = no_noise(x.size(0));
    const auto conditions = conditions_of(sampled, some);
    const auto told = parts_.learnt->at(x, t, conditions).to(at::kDouble);
    parts_.learnt->update(
        x, t, conditions,
        2.0 / static_cast<double>(x.size(0)) * (told - picked(reward, some)));
  }
}

StateDict Surrogate::state() const {
  auto own = parts_.learnt->state();
  own[kFit] = fit_.state();
  own[kRewardMoments] = rewards_.state();
  auto out = zeroth_order_.state();
  add_with_prefix(out, kPrefix, own);
  return out;
}

void Surrogate::load_state(const StateDict& state) {
  auto others = state;
  std::erase_if(
      others, [](const auto& item) { return item.first.starts_with(kPrefix); });
  auto own = with_prefix(state, kPrefix);
  fit_.load_state(saved(own, kFit));
  rewards_.load_state(saved(own, kRewardMoments));
  own.erase(kFit);
  own.erase(kRewardMoments);
  zeroth_order_.load_state(others);
  parts_.learnt->load_state(own);
}

int64_t passes_for(const RolloutIndex& rollout, const SurrogateKnobs& knobs) {
  return knobs.at == SurrogateKnobs::At::network
             ? std::ssize(states_with_rows(rollout))
             : 0;
}

}  // namespace rsm
