#include "rsm/estimators/flow_balance.h"

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/estimators/advantages.h"
#include "rsm/estimators/path_balance.h"
#include "rsm/objective/rows.h"

namespace rsm {
namespace {

using Use = FlowKnobs::Use;

/** A loss R^2 has the gradient of a row whose advantage is this. */
constexpr double kOfSquare = -2;

}  // namespace

FlowBalance::FlowBalance(const Method& method, uint64_t seed,
                         const GradientParts& parts)
    : knobs_(method.estimator),
      advantage_clip_(method.regularisation.advantage_clip),
      seed_(seed),
      parts_(parts) {
  RSM_CHECK(parts.learnt != nullptr && parts.plain != nullptr,
            "[flow] there is no network of the flow, or none without text "
            "guidance; both are needed");
}

double FlowBalance::reward_scale(int64_t epoch) const {
  const auto ramp = static_cast<double>(knobs_.flow.ramp);
  const double share =
      ramp > 0 ? std::min(1.0, static_cast<double>(epoch) / ramp) : 1;
  return share * knobs_.flow.reward_scale;
}

Advantages FlowBalance::compared(const RolloutIndex& rollout,
                                 const torch::Tensor& residual) const {
  if (knobs_.flow.use == Use::advantage) {
    return group_advantages(-residual, row_groups(rollout, knobs_), knobs_,
                            advantage_clip_);
  }
  return uncompared((kOfSquare * residual).to(at::kFloat),
                    at::ones({rollout.rows()}, at::kBool), residual);
}

Guidance FlowBalance::guide(const Sampled& sampled, int64_t epoch) {
  const auto& rollout = sampled.rollout;
  const auto forward = forward_log_density(rollout, rollout.y);
  const auto reward = rewards_on_the_way(sampled, parts_.path, *parts_.plain,
                                         parts_.decoder, parts_.reward);
  const double scale = reward_scale(epoch);
  const auto rest = scale * (reward.slice(1, 0, -1) - reward.slice(1, 1)) -
                    backward_log_density(rollout, parts_.path);
  const auto all = all_states(rollout);
  const auto flow = parts_.learnt->at(rollout.x, times_of(rollout, all),
                                      sampled.conditions_of(all));
  const auto residual =
      residuals(rest + forward, flow.to(at::kDouble).view_as(rest));
  RSM_CHECK(residual.isfinite().all().item<bool>(), "[flow] epoch ", epoch + 1,
            ": a residual of the balance is not finite; lower "
            "estimator.flow.lr or estimator.flow.reward_scale, or look at the "
            "rewards of pictures that are predicted from noise");
  Guidance out;
  out.advantages = compared(rollout, residual.flatten());
  out.trained = all;
  out.evaluations = rollout.states();  // a picture each
  out.numbers = {{"flow_loss", residual.square().mean().item<double>()},
                 {"flow_residual", residual.mean().item<double>()},
                 {"flow_reward_scale", scale}};
  epoch_ = epoch;
  rest_ = rest;
  return out;
}

void FlowBalance::at_output(const torch::Tensor& y, LossTerms& terms) const {
  if (knobs_.flow.use != Use::balance) return;
  auto& rows = terms.rows;
  // Res moves with log p_F alone.
  const auto moved = row_losses(y, terms.states, rows).log_ratio();
  rows.advantage = (rows.advantage + kOfSquare * moved)
                       .clamp(-advantage_clip_, advantage_clip_);
  rows.guidance = 0.5 * rows.post * rows.exponent * rows.advantage * rows.slope;
  rows.trust = rows.guidance * rows.slope * rows.square;
}

void FlowBalance::learn(const Sampled& sampled, const Outputs& outputs) {
  const auto& rollout = sampled.rollout;
  const auto known =
      rest_ + forward_log_density(rollout, outputs.old.of(all_states(rollout)));
  const auto order = counted_permutation(
      counted_seed(seed_, Purpose::update_order,
                   {static_cast<uint64_t>(epoch_), /*of the flow*/ 1}),
      rollout.images());
  const int64_t count = std::min(knobs_.flow.updates, rollout.images());
  const auto paths = rollout.images();
  for (int64_t u = 0; u < count; ++u) {
    learn_from({order.begin() + paths * u / count,
                order.begin() + paths * (u + 1) / count},
               sampled, known);
  }
}

void FlowBalance::learn_from(const std::vector<int64_t>& paths,
                             const Sampled& sampled,
                             const torch::Tensor& known) {
  const auto& rollout = sampled.rollout;
  const int64_t rows = known.size(1);
  std::vector<int64_t> states;
  for (const int64_t path : paths) {
    for (int64_t i = 0; i < rows; ++i) states.push_back(path * rows + i);
  }
  const auto x = rollout.x.index_select(0, torch::tensor(states, at::kLong));
  const auto t = times_of(rollout, states);
  const auto conditions = sampled.conditions_of(states);
  const auto part = known.index_select(0, torch::tensor(paths, at::kLong));
  const auto flow =
      parts_.learnt->at(x, t, conditions).to(at::kDouble).view_as(part);
  parts_.learnt->update(x, t, conditions,
                        flow_slope(residuals(part, flow)).flatten());
}

}  // namespace rsm
