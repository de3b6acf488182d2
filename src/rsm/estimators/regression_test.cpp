// Methods that train on noised samples against the losses of their papers,
// written as these write them and differentiated by autograd.

#include "rsm/estimators/regression.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <functional>
#include <map>

#include "rsm/base/random.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/flow_path.h"
#include "rsm/paths/forward.h"

namespace rsm {
namespace {

constexpr int64_t kPrompts = 2, kMembers = 4, kDraws = 2;
constexpr int64_t kRows = kPrompts * kMembers * kDraws;

torch::Tensor random_outputs(uint64_t seed) {
  return counted_normal(seed, {kRows, 2, 3, 4}).to(torch::kFloat64);
}

/** Two prompts of four samples, each noised twice; outputs of what is trained,
 * of a slower copy, of the reference and of that under guidance of its own are
 * all different. */
struct Problem {
  Sampled sampled;
  std::vector<int64_t> states;
  torch::Tensor y, y_old, y_ref, y_guided, y_c;  ///< [rows,C,H,W]
  torch::Tensor reward, t;                       ///< [rows]

  Problem() {
    auto& rollout = sampled.rollout;
    const FlowPath path;
    rollout.prompts.resize(kPrompts);
    rollout.transitions = {forward_row(path, 0.75), forward_row(path, 0.25)};
    for (int64_t image = 0; image < kPrompts * kMembers; ++image) {
      rollout.image_prompt.push_back(image / kMembers);
      for (int64_t draw = 0; draw < kDraws; ++draw) {
        states.push_back(rollout.states());
        rollout.row_state.push_back(rollout.states());
        rollout.row_image.push_back(image);
        rollout.state_root.push_back(image);
        rollout.state_prompt.push_back(image / kMembers);
        rollout.state_step.push_back(draw);
        const auto number = static_cast<double>(image * kDraws + draw);
        rollout.own.push_back(forward_row(path, 0.1 + 0.05 * number));
      }
    }
    y_old = random_outputs(1);
    y = y_old + 0.1 * random_outputs(2);
    y_ref = y_old + 0.2 * random_outputs(3);
    y_guided = y_ref + 0.3 * random_outputs(6);
    y_c = random_outputs(4);
    rollout.x = random_outputs(5);
    rollout.x_next = y_c;
    rollout.y = torch::empty({0, 2, 3, 4}, torch::kFloat64);
    const auto rewards =
        torch::tensor({0.3, -0.2, 0.9, 0.1, 1.4, 0.2, 0.7, 0.0});
    sampled.scores.value = rewards.to(torch::kFloat32);
    reward = rewards.to(torch::kFloat64).repeat_interleave(kDraws);
    t = times_of(rollout, states).to(torch::kFloat64);
  }

  /** [rows] of each row its prompt's. */
  static torch::Tensor group_mean(const torch::Tensor& values) {
    return values.view({kPrompts, -1})
        .mean(1)
        .repeat_interleave(kMembers * kDraws);
  }
  static torch::Tensor group_std(const torch::Tensor& values) {
    return values.view({kPrompts, -1})
        .std(1, /*unbiased=*/false)
        .repeat_interleave(kMembers * kDraws);
  }
  /** The same over a prompt's rows of one draw. */
  static torch::Tensor draw_mean(const torch::Tensor& values) {
    return values.view({kPrompts, kMembers, kDraws})
        .mean(1, /*keepdim=*/true)
        .expand({kPrompts, kMembers, kDraws})
        .flatten();
  }
  torch::Tensor centred() const { return reward - group_mean(reward); }
  /** Over the spread of a prompt, or of all. */
  torch::Tensor by_group() const {
    return centred() / (group_std(reward) + 1e-4);
  }
  torch::Tensor by_all() const {
    return centred() / (reward.std(/*unbiased=*/false) + 1e-4);
  }
};

torch::Tensor mean_of(const torch::Tensor& values) {
  return values.flatten(1).mean(1);
}

/** [rows] of (v - v_c)^2 */
torch::Tensor error(const Problem& p, const torch::Tensor& v) {
  return mean_of((v - p.y_c).square());
}

/** x0hat - x0 where x0hat = x_t - t v. */
torch::Tensor picture_error(const Problem& p, const torch::Tensor& v) {
  return -p.t.view({-1, 1, 1, 1}) * (v - p.y_c);
}

/** The ELBO of rethinking-diffusion-rl: "adaptive". */
torch::Tensor evidence(const Problem& p, const torch::Tensor& v) {
  const auto apart = picture_error(p, v);
  const auto w = mean_of(apart.abs()).clamp_min(1e-5).detach();
  return -mean_of(apart.square()) / w;
}

torch::Tensor to_reference(const Problem& p, const torch::Tensor& v) {
  return mean_of((v - p.y_ref).square());
}

torch::Tensor nft(const Problem& p, const torch::Tensor& v) {
  const double b = 1;
  const auto good = (p.by_all().clamp(-5, 5) / 10 + 0.5).clamp(0, 1);
  const auto branch = [&](double sign) {
    const auto apart = picture_error(
        p, sign > 0 ? b * v + (1 - b) * p.y_old : (1 + b) * p.y_old - b * v);
    const auto w = mean_of(apart.abs()).clamp_min(1e-5).detach();
    return mean_of(apart.square()) / w;
  };
  return 5 / b * (good * branch(1) + (1 - good) * branch(-1)) +
         1e-4 * to_reference(p, v);
}

torch::Tensor awm(const Problem& p, const torch::Tensor& v) {
  const double power = 0.25;
  const auto log_p =
      -p.t / power *
      ((error(p, v) + 1e-10).pow(power) - std::pow(1e-10, power));
  const auto a = p.by_all().clamp(-5, 5) / 5;
  const auto ratio = (log_p - log_p.detach()).exp();
  return torch::maximum(-a * ratio, -a * ratio.clamp(0, 2)) +
         1e-3 * to_reference(p, v) + mean_of((v - p.y_old).square());
}

torch::Tensor pepg(const Problem& p, const torch::Tensor& v) {
  const auto elbo = evidence(p, v);
  const auto delta = elbo.detach() - evidence(p, p.y_old);
  return -delta.exp() * (0.1 * p.centred() - delta) * elbo +
         1e-4 * to_reference(p, v);
}

torch::Tensor par(const Problem& p, const torch::Tensor& v) {
  const auto delta = evidence(p, v) - evidence(p, p.y_old);
  return 0.5 * delta.detach().exp() * (0.1 * p.centred() - delta).square() +
         1e-4 * to_reference(p, v);
}

torch::Tensor v_grpo(const Problem& p, const torch::Tensor& v) {
  const auto a = 3 * (p.by_group() / 3).tanh();
  const auto ratio = (evidence(p, v) - evidence(p, p.y_old)).exp();
  return torch::maximum(-a * ratio, -a * ratio.clamp(1 - 1e-3, 1 + 1e-3));
}

/** Errors of rows that went the way of their advantage by more are held. */
torch::Tensor dgpo(const Problem& p, const torch::Tensor& v) {
  const double range = 0.01;
  const auto d = error(p, v);
  const auto a = p.by_group();
  const auto w =
      Problem::draw_mean(100 * a * (d.detach() - error(p, p.y_ref))).sigmoid();
  const auto ratio = (-d.detach() + error(p, p.y_old)).exp();
  const auto clipped =
      torch::where(a > 0, ratio > 1 + range, ratio < 1 - range);
  const auto count = clipped.sum().item<int64_t>();
  EXPECT_GT(count, 0);
  EXPECT_LT(count, kRows);
  return w * a * torch::where(clipped, d.detach(), d) +
         1e-3 * to_reference(p, v);
}

/** Its loss over 10, the KL's weight too: to the reference under guidance, and
 * the more the better a sample is. */
torch::Tensor crd(const Problem& p, const torch::Tensor& v) {
  const auto r = evidence(p, v) - evidence(p, p.y_old);
  const auto a = (p.by_group() / 5).clamp(-1, 1) / 2 + 0.5;
  const auto apart = (r - Problem::draw_mean(r)) - (a - Problem::draw_mean(a));
  const double least = 1e-4 / 0.1;
  const auto kl =
      0.1 * (least + a * (1 - least)) * mean_of((v - p.y_guided).square());
  return 0.1 * (5 * apart.square() + kl);
}

/** Of a pair, on the better one's rows. */
torch::Tensor dpo(const Problem& p, const torch::Tensor& v) {
  const auto further = error(p, v) - error(p, p.y_ref);
  std::vector<torch::Tensor> out;
  for (const auto& [best, worst] : {std::pair{2, 1}, {4, 7}}) {
    for (int64_t draw = 0; draw < kDraws; ++draw) {
      const auto behind =
          further[best * kDraws + draw] - further[worst * kDraws + draw];
      out.push_back(-(-2000 * behind).sigmoid().log());
    }
  }
  return torch::stack(out);
}

using Loss = std::function<torch::Tensor(const Problem&, const torch::Tensor&)>;

const std::map<std::string, Loss>& published() {
  static const std::map<std::string, Loss> all = {
      {"rwr",
       [](const Problem& p, const torch::Tensor& v) {
         const auto w =
             (p.centred() / (Problem::group_std(p.reward) + 1e-8)).exp();
         return w / Problem::group_mean(w) * error(p, v);
       }},
      {"sft",
       [](const Problem& p, const torch::Tensor& v) {
         const auto chosen =
             torch::tensor({1, 0, 1, 0, 1, 0, 1, 0}, torch::kFloat64)
                 .repeat_interleave(kDraws);
         return chosen * error(p, v);
       }},
      {"orw-cfm",
       [](const Problem& p, const torch::Tensor& v) {
         return p.reward.exp() * error(p, v) + to_reference(p, v);
       }},
      {"diffusion-nft", nft},
      {"awm", awm},
      {"ram",
       [](const Problem& p, const torch::Tensor& v) {
         const auto a = p.by_group().view({-1, 1, 1, 1});
         return mean_of((v - (p.y_ref + 100 * a * (p.y_c - p.y_old))).square());
       }},
      {"rvm",
       [](const Problem& p, const torch::Tensor& v) {
         return 0.1 * p.by_group() * error(p, v);
       }},
      {"pepg", pepg},
      {"par", par},
      {"v-grpo", v_grpo},
      {"dgpo", dgpo},
      {"crd", crd},
      {"dpo", dpo},
      {"rsm-pictures",
       [](const Problem& p, const torch::Tensor& v) {
         const auto elbo = evidence(p, v);
         const auto delta = elbo.detach() - evidence(p, p.y_old);
         return -(0.1 * p.centred() - delta) * elbo + 1e-4 * to_reference(p, v);
       }},
  };
  return all;
}

torch::Tensor our_gradient(const Method& method, const Problem& p) {
  Regression estimator(method, 1);
  auto guidance = estimator.guide(p.sampled, 0);
  Outputs outputs = {{p.y_old, p.states}, {p.y_ref, p.states}, {p.y, p.states}};
  if (method.regularisation.guides_reference()) {
    outputs.guided_reference = {p.y_guided, p.states};
  }
  estimator.weigh(p.sampled, outputs, guidance);
  const auto weights =
      update_weights(method, p.sampled.rollout, guidance.advantages, p.states);
  auto terms = loss_terms(method, p.sampled.rollout, outputs, guidance, weights,
                          p.states);
  estimator.at_output(p.y, terms);
  return rsm_loss(p.y, terms.states, terms.rows).gradient;
}

TEST(Regression, EveryEntryHasItsPublishedGradient) {
  const Problem problem;
  for (const auto& entry : catalogue()) {
    if (!entry.estimator.is_of_pictures() ||
        entry.estimator.needs_gradients()) {
      continue;
    }
    SCOPED_TRACE(entry.name);
    const auto found = published().find(entry.name);
    ASSERT_NE(found, published().end()) << "say its published loss above";
    auto y = problem.y.clone().requires_grad_();
    const auto loss = found->second(problem, y).sum() / kRows;
    const auto expected = torch::autograd::grad({loss}, {y})[0];
    const auto gradient = our_gradient(entry, problem);
    ASSERT_GT(expected.norm().item<double>(), 0);
    EXPECT_LT(((gradient - expected).norm() / expected.norm()).item<double>(),
              1e-6);  // advantages are float32
  }
}

}  // namespace
}  // namespace rsm
