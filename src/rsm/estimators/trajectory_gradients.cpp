#include "rsm/estimators/trajectory_gradients.h"

#include <map>
#include <set>

#include "rsm/base/random.h"
#include "rsm/paths/consistency_point.h"

namespace rsm {
namespace {

using At = GradientKnobs::At;
using Through = GradientKnobs::Through;
using Nodes = std::vector<int64_t>;

class Taker {
 public:
  Taker(const Sampled& sampled, const GradientKnobs& knobs,
        const GradientParts& parts, const GradientEpoch& epoch)
      : sampled_(sampled),
        rollout_(sampled.rollout),
        knobs_(knobs),
        parts_(parts),
        epoch_(epoch),
        nodes_{std::ssize(sampled.rollout.transitions)} {}

  RewardGradient at_nodes(const Nodes& nodes) const {
    if (knobs_.at == At::adjoint) return carried_back(nodes);
    Nodes samples, roots, inner, states;
    for (size_t i = 0; i < nodes.size(); ++i) {
      const bool last = nodes_.is_sample(nodes[i]);
      (last ? samples : inner).push_back(static_cast<int64_t>(i));
      if (last) {
        roots.push_back(nodes_.root(nodes[i]));
      } else {
        states.push_back(nodes_.state(nodes[i]));
      }
    }
    auto out = room(std::ssize(nodes));
    if (!samples.empty()) put(out, samples, of_samples(roots));
    if (!inner.empty()) {
      put(out, inner,
          knobs_.at == At::network ? through_network(states)
                                   : of_pictures(states, predicted(states)));
    }
    return out;
  }

 private:
  RewardGradient room(int64_t count) const {
    auto shape = rollout_.latents.sizes().vec();
    shape[0] = count;
    return {at::empty({count}, at::kFloat), at::empty(shape, at::kFloat)};
  }
  static void put(RewardGradient& out, const Nodes& places,
                  const RewardGradient& some) {
    const auto index = torch::tensor(places, at::kLong);
    out.value.index_copy_(0, index, some.value);
    out.gradient.index_copy_(0, index, some.gradient);
  }

  /** How the picture that a state leads to is predicted. */
  PicturePoint point_of(int64_t state) const {
    const double t = rollout_.transition_of(state).t;
    if (knobs_.through == Through::predictor) {
      return consistency_point(parts_.path, t);
    }
    return {t, parts_.path.prediction(t)};
  }
  /** [B,1,1,1] float32 of how those of states are. */
  template <typename F>
  torch::Tensor column(const Nodes& states, const F& number_of) const {
    std::vector<float> numbers;
    for (const int64_t state : states) {
      numbers.push_back(static_cast<float>(number_of(point_of(state))));
    }
    return torch::tensor(numbers).view({-1, 1, 1, 1});
  }
  torch::Tensor per_x(const Nodes& states) const {
    return column(states, [](const PicturePoint& p) { return p.prediction.x; });
  }
  torch::Tensor per_y(const Nodes& states) const {
    return column(states, [](const PicturePoint& p) { return p.prediction.y; });
  }
  torch::Tensor times(const Nodes& states) const {
    return column(states, [](const PicturePoint& p) { return p.t; }).flatten();
  }

  RewardGradient of_samples(const Nodes& roots) const {
    Prompts prompts;
    Nodes nodes;
    for (const int64_t root : roots) {
      prompts.push_back(rollout_.prompts[rollout_.image_prompt[root]]);
      nodes.push_back(nodes_.of(root, nodes_.steps));
    }
    return particle_gradient(picked(rollout_.latents, roots), prompts, nodes,
                             knobs_, parts_, epoch_);
  }
  /** In what is predicted from states. */
  RewardGradient of_predicted(const torch::Tensor& latents,
                              const Nodes& states) const {
    Prompts prompts;
    Nodes nodes;
    for (const int64_t state : states) {
      prompts.push_back(rollout_.prompts[rollout_.state_prompt[state]]);
      nodes.push_back(nodes_.of_state(state));
    }
    return particle_gradient(latents, prompts, nodes, knobs_, parts_, epoch_);
  }

  /** The pictures that the rollout's outputs predict. */
  torch::Tensor predicted(const Nodes& states) const {
    return per_x(states) * picked(rollout_.x, states) +
           per_y(states) * picked(rollout_.y, states);
  }
  /** In x of states, their outputs held fixed. */
  RewardGradient of_pictures(const Nodes& states,
                             const torch::Tensor& pictures) const {
    auto out = of_predicted(pictures, states);
    out.gradient = per_x(states) * out.gradient;
    return out;
  }

  Denoiser& network() const {
    if (knobs_.through == Through::predictor) return *parts_.predictor;
    return knobs_.through == Through::policy ? parts_.policy : parts_.reference;
  }

  /** In x of states, of the picture that the network predicts there. */
  RewardGradient through_network(const Nodes& states) const {
    const auto x = picked(rollout_.x, states);
    const auto by_x = per_x(states), by_y = per_y(states);
    auto out = room(std::ssize(states));
    const auto within = network().pull_back(
        x, times(states), sampled_.conditions_of(states),
        [&](int64_t first, int64_t count, const torch::Tensor& y) {
          const auto part = [&](const torch::Tensor& all) {
            return all.slice(0, first, first + count);
          };
          const Nodes some(states.begin() + first,
                           states.begin() + first + count);
          const auto found = of_predicted(
              part(by_x) * part(x) + part(by_y) * y.to(at::kCPU, at::kFloat),
              some);
          part(out.value).copy_(found.value);
          part(out.gradient).copy_(found.gradient);
          return (part(by_y) * found.gradient).to(y.device());
        });
    out.gradient = by_x * out.gradient + within;
    return out;
  }

  /** Of the samples, by the transposed Jacobians of the paths' steps: those of
   * a_x x + m_y y(x), from the last one to the first that is asked for. */
  RewardGradient carried_back(const Nodes& nodes) const {
    Nodes roots;
    int64_t first = nodes_.steps;
    std::map<int64_t, int64_t> place;
    for (const int64_t node : nodes) {
      place[node] = std::ssize(place);
      if (roots.empty() || roots.back() != nodes_.root(node)) {
        roots.push_back(nodes_.root(node));
      }
      first = std::min(first, nodes_.step(node));
    }
    auto at = of_samples(roots);
    auto out = room(std::ssize(nodes));
    for (int64_t step = nodes_.steps;; --step) {
      for (size_t i = 0; i < roots.size(); ++i) {
        const auto found = place.find(nodes_.of(roots[i], step));
        if (found == place.end()) continue;
        out.value[found->second] = at.value[static_cast<int64_t>(i)];
        out.gradient[found->second] = at.gradient[static_cast<int64_t>(i)];
      }
      if (step == first) return out;
      at.gradient = before_step(at.gradient, roots, step - 1);
    }
  }

  torch::Tensor before_step(const torch::Tensor& after, const Nodes& roots,
                            int64_t step) const {
    const auto& transition = rollout_.transitions[step];
    if (knobs_.through == Through::linear) {
      return transition.a_x * after;
    }
    Nodes states;
    for (const int64_t root : roots) {
      states.push_back(nodes_.state(nodes_.of(root, step)));
    }
    auto of_output = transition.m_y * after;
    auto out = transition.a_x * after;
    if (!epoch_.costs.empty()) {
      out = out + less_cost(states, 2 * epoch_.costs[step], of_output);
    }
    const auto within = network().pull_back(
        picked(rollout_.x, states), times_of(rollout_, states),
        sampled_.conditions_of(states),
        [&](int64_t begin, int64_t count, const torch::Tensor& y) {
          return of_output.slice(0, begin, begin + count).to(y.device());
        });
    return out + within;
  }

  /** Takes what states cost off the gradient in their outputs; returns what
   * that is in x through the reference's. */
  torch::Tensor less_cost(const Nodes& states, double slope,
                          torch::Tensor& of_output) const {
    const auto y = picked(rollout_.y, states);
    auto pull = at::empty_like(y);
    auto out = parts_.reference.pull_back(
        picked(rollout_.x, states), times_of(rollout_, states),
        sampled_.conditions_of(states),
        [&](int64_t begin, int64_t count, const torch::Tensor& y_ref) {
          auto part = pull.slice(0, begin, begin + count);
          part.copy_(slope * (y.slice(0, begin, begin + count) -
                              y_ref.to(at::kCPU, at::kFloat)));
          return part.to(y_ref.device());
        });
    of_output = of_output - pull;
    return out;
  }

  const Sampled& sampled_;
  const Rollout& rollout_;
  const GradientKnobs& knobs_;
  const GradientParts& parts_;
  const GradientEpoch& epoch_;
  PathNodes nodes_;
};

/** [B,C,H,W] of one particle. */
torch::Tensor noise_of(const Nodes& nodes, int64_t particle,
                       const torch::Tensor& latents, uint64_t seed) {
  auto out = at::empty(latents.sizes(), at::kFloat);
  for (size_t i = 0; i < nodes.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    out[row].copy_(counted_normal(
        counted_seed(
            seed, Purpose::particles,
            {static_cast<uint64_t>(nodes[i]), static_cast<uint64_t>(particle)}),
        latents[row].sizes()));
  }
  return out;
}

}  // namespace

RewardGradient particle_gradient(const torch::Tensor& latents,
                                 const Prompts& prompts,
                                 const std::vector<int64_t>& nodes,
                                 const GradientKnobs& knobs,
                                 const GradientParts& parts,
                                 const GradientEpoch& epoch) {
  const auto taken_at = [&](const torch::Tensor& these) {
    return reward_gradient(parts.reward, parts.decoder, these, prompts,
                           gradients_at_once(parts.decoder, these));
  };
  if (knobs.jitter == 0) return taken_at(latents);
  RewardGradient sum;
  for (int64_t k = 0; k < knobs.particles; ++k) {
    const auto one = taken_at(
        latents + knobs.jitter * noise_of(nodes, k, latents, epoch.seed));
    sum = k == 0 ? one
                 : RewardGradient{sum.value + one.value,
                                  sum.gradient + one.gradient};
  }
  const auto count = static_cast<double>(knobs.particles);
  return {sum.value / count, sum.gradient / count};
}

int64_t passes_for(const std::vector<int64_t>& nodes, const PathNodes& of,
                   const GradientKnobs& knobs, bool is_soft) {
  int64_t inner = 0, first = of.steps;
  std::set<int64_t> roots;
  for (const int64_t node : nodes) {
    inner += of.is_sample(node) ? 0 : 1;
    first = std::min(first, of.step(node));
    roots.insert(of.root(node));
  }
  if (knobs.at == At::network) return inner;
  if (knobs.at != At::adjoint || knobs.through == Through::linear) return 0;
  return (is_soft ? 2 : 1) * std::ssize(roots) * (of.steps - first);
}

int64_t gradients_at_once(int64_t pixels) {
  constexpr int64_t kPixels = 512 * 512, kMost = 64;
  return std::clamp<int64_t>(kPixels / std::max<int64_t>(pixels, 1), 1, kMost);
}

int64_t gradients_at_once(const Decoder& decoder,
                          const torch::Tensor& latents) {
  return gradients_at_once(latents.size(2) * latents.size(3) * decoder.scale() *
                           decoder.scale());
}

namespace {

/** Which nodes (rising) ranks take: whole trajectories. */
std::vector<Share> shares_of(const std::vector<int64_t>& nodes,
                             const PathNodes& of, int64_t ranks) {
  const int64_t count = std::ssize(nodes);
  std::vector<Share> out;
  int64_t first = 0;
  for (int64_t r = 0; r < ranks; ++r) {
    int64_t last = std::max(first, share_of(count, r, ranks).last);
    while (last > 0 && last < count &&
           of.root(nodes[last]) == of.root(nodes[last - 1])) {
      ++last;
    }
    out.push_back({first, last});
    first = last;
  }
  return out;
}

}  // namespace

RewardGradient gradients_at(const std::vector<int64_t>& nodes,
                            const Sampled& sampled, const GradientKnobs& knobs,
                            const GradientParts& parts,
                            const GradientEpoch& epoch) {
  const Taker taker(sampled, knobs, parts, epoch);
  if (parts.ranks == nullptr || parts.ranks->is_sole()) {
    return taker.at_nodes(nodes);
  }
  auto& ranks = *parts.ranks;
  const PathNodes of = {std::ssize(sampled.rollout.transitions)};
  const auto shares = shares_of(nodes, of, ranks.size());
  const auto own = shares[ranks.rank()];
  auto shape = sampled.rollout.latents.sizes().vec();
  shape[0] = std::ssize(nodes);
  RewardGradient out = {at::empty({shape[0]}, at::kFloat),
                        at::empty(shape, at::kFloat)};
  if (own.count() > 0) {
    const auto some =
        taker.at_nodes({nodes.begin() + own.first, nodes.begin() + own.last});
    out.value.slice(0, own.first, own.last).copy_(some.value);
    out.gradient.slice(0, own.first, own.last).copy_(some.gradient);
  }
  ranks.gather_rows(out.value, shares);
  ranks.gather_rows(out.gradient, shares);
  return out;
}

}  // namespace rsm
