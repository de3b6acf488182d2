#include "rsm/objective/loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/testing.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/path.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;
using KlForm = RegularisationKnobs::KlForm;
using torch::Tensor;

Method method_of(const std::string& name, Importance importance,
                 KlForm kl_form) {
  Method method = reweighted(name, importance);
  method.estimator.branches = {3, 4, 2, 5, 2, 0, 3, 0, 4, 0};
  method.regularisation.beta = 0.05;
  method.regularisation.kl_form = kl_form;
  method.regularisation.anchors = true;
  method.regularisation.clip_range = 5e-5;
  return method;
}

std::vector<Method> every_form() {
  std::vector<Method> methods;
  for (const auto form : {KlForm::exact, KlForm::heuristic, KlForm::even}) {
    for (const auto importance : {Importance::ratio, Importance::matching}) {
      for (const std::string name : {"base", "tempflow", "pcpo", "even",
                                     "guard", "fairclip", "fairclip2"}) {
        methods.push_back(method_of(name, importance, form));
      }
    }
    methods.push_back(method_of("reinforce", Importance::none, form));
  }
  return methods;
}

std::string label(const Method& method) {
  return cat(method.name, " importance ",
             static_cast<int>(method.regularisation.importance), " kl ",
             static_cast<int>(method.regularisation.kl_form), " published ",
             method.as_published);
}

Tensor random(uint64_t seed, int64_t size) {
  return counted_normal(seed, {size, 2, 3, 4}).to(torch::kFloat64);
}

/** Ten steps of each kind of sampler; the flow's is the tables' own. */
const std::vector<std::pair<std::string, Transitions>>& every_sampler() {
  static const auto samplers = [] {
    const auto flow = Path::from_json(FlowMatchSchedule{}.to_json());
    const auto diffusion = Path::from_json(DdimSchedule{}.to_json());
    const auto steps = [](const Path& path, SamplerNoise kind) {
      const StepNoise noise = {.kind = kind,
                               .level = usual_level(kind, path.family())};
      return path.noisy_steps(path.times(10), noise);
    };
    return std::vector<std::pair<std::string, Transitions>>{
        {"Flow-SDE", steps(*flow, SamplerNoise::usual)},
        {"CPS", steps(*flow, SamplerNoise::cps)},
        {"constant", steps(*flow, SamplerNoise::constant)},
        {"DDIM", steps(*diffusion, SamplerNoise::usual)},
        {"even weight", steps(*diffusion, SamplerNoise::even_weight)}};
  }();
  return samplers;
}

struct Problem {
  Rollout rollout;
  Advantages advantages;
  Tensor y, y_old, y_ref;  ///< at all states
  std::vector<int64_t> states;
};

/** Three roots of a branched 10-step rollout, float64, with dead groups. */
Problem random_problem(
    const Method& method,
    const Transitions& steps = every_sampler().front().second) {
  Problem out;
  auto& rollout = out.rollout;
  rollout.transitions = steps;
  for (int64_t root = 0; root < 3; ++root) {
    for (int64_t step = 0; step < 9; ++step) {
      out.states.push_back(rollout.states());
      for (int64_t k = 0; k < method.estimator.branches[step]; ++k) {
        rollout.row_state.push_back(rollout.states());
        rollout.row_image.push_back(rollout.images());
        rollout.image_prompt.push_back(0);
      }
      rollout.state_root.push_back(root);
      rollout.state_prompt.push_back(0);
      rollout.state_step.push_back(step);
    }
  }
  const int64_t states = rollout.states();
  rollout.x = random(1, states);
  out.y_old = random(2, states);
  // Far enough that some rows clip and some don't, in every measure.
  out.y = out.y_old + 0.01 * random(3, states);
  out.y_ref = out.y_old + 0.02 * random(4, states);
  const auto eps = random(5, rollout.rows());
  std::vector<Tensor> x_next;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t state = rollout.row_state[r];
    const auto& step = rollout.transitions[rollout.state_step[state]];
    x_next.push_back(mean_of(rollout.x[state], out.y_old[state], step) +
                     step.s * eps[r]);
  }
  rollout.x_next = torch::stack(x_next);
  auto rewards = counted_normal(6, {rollout.rows()});
  // The first two states' rewards are equal: dead groups.
  rewards.slice(0, 0, 7).fill_(0.3);
  rollout.latents = torch::zeros({rollout.images(), 1, 1, 1});
  RewardScores scores;
  scores.value = rewards;
  out.advantages =
      row_advantages(rollout, scores, method.estimator, 5, nullptr);
  return out;
}

/** Terms of `states` of an update that takes them all. */
LossTerms terms_of(const Method& method, const Problem& problem,
                   const std::vector<int64_t>& states) {
  auto terms =
      loss_terms(method, problem.rollout, problem.y_old, problem.advantages,
                 update_weights(method, problem.rollout, problem.advantages,
                                problem.states),
                 states);
  terms.states.y_ref =
      problem.y_ref.index_select(0, torch::tensor(states, torch::kInt64));
  return terms;
}

LossResult loss_of(const Method& method, const Problem& problem) {
  const auto terms = terms_of(method, problem, problem.states);
  return rsm_loss(problem.y, terms.states, terms.rows);
}

struct Published {
  Tensor gradient;
  double policy = 0, kl = 0;
};

/** Autograd through the published weighted sums, one network output a row. */
Published published_loss(const Method& method, const Problem& problem) {
  const auto& rollout = problem.rollout;
  const auto& knobs = method.regularisation;
  const auto& branches = method.estimator.branches;
  const double k_mean = 23.0 / 7;  // mean of the K_i that are not 0
  auto y = problem.y.clone().requires_grad_(true);
  double live = 0, rows = 0, anchors = 0;
  Tensor policy = torch::zeros({}, torch::kFloat64);
  Tensor kl = policy.clone();
  Tensor anchor_kl = policy.clone();
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    const int64_t state = rollout.row_state[r];
    const int64_t i = rollout.state_step[state];
    const auto& step = rollout.transitions[i];
    const double kappa = k_mean / static_cast<double>(branches[i]);
    const bool alive = problem.advantages.alive[r].item<bool>();
    rows += 1;
    if (alive) {
      live += 1;
      const Sample sample{step,
                          rollout.x.slice(0, state, state + 1),
                          rollout.x_next.slice(0, r, r + 1),
                          problem.y_old.slice(0, state, state + 1),
                          problem.advantages.value[r].item<double>(),
                          knobs.clip_range};
      policy =
          policy + kappa * published_row(method.name, knobs.importance, sample,
                                         y.slice(0, state, state + 1));
    }
    if (knobs.pull_rows && (alive || !method.as_published)) {
      kl = kl + kappa * published_kl(knobs.kl_form, step, y[state],
                                     problem.y_ref[state]);
    }
  }
  for (int64_t state = 0; state < rollout.states(); ++state) {
    const int64_t i = rollout.state_step[state];
    if (branches[i] > 0) continue;
    anchors += 1;
    anchor_kl = anchor_kl + published_kl(knobs.kl_form, rollout.transitions[i],
                                         y[state], problem.y_ref[state]);
  }
  policy = policy / live;
  if (!knobs.pull_rows) {
    kl = anchor_kl / anchors;
  } else {
    kl = method.as_published ? kl / live + k_mean * anchor_kl / anchors
                             : (kl + k_mean * anchor_kl) / rows;
  }
  kl = knobs.beta * kl;
  (policy + kl).backward();
  return {y.grad(), policy.item<double>(), kl.item<double>()};
}

double relative(const Tensor& actual, const Tensor& expected) {
  return ((actual - expected).norm() / expected.norm()).item<double>();
}

void expect_published(const Method& method, const Transitions& steps,
                      bool same_scalar = true) {
  const auto problem = random_problem(method, steps);
  const auto result = loss_of(method, problem);
  const auto expected = published_loss(method, problem);
  // Rounding in float64; (1 + xi A) - 1 costs the ratio a few digits.
  EXPECT_LT(relative(result.gradient, expected.gradient), 1e-9);
  EXPECT_NEAR(result.kl, expected.kl, 1e-12 * expected.kl);
  if (same_scalar) {
    EXPECT_NEAR(result.policy, expected.policy,
                1e-9 * std::abs(expected.policy));
  }
}

TEST(RsmLoss, GradientEqualsEveryPublishedLossOnEverySampler) {
  for (const auto& [sampler, steps] : every_sampler()) {
    for (auto method : every_form()) {
      // How rows are weighed does not depend on the sampler.
      const bool first = &sampler == &every_sampler().front().first;
      for (const bool as_published :
           first ? std::vector<bool>{false, true} : std::vector<bool>{false}) {
        method.as_published = as_published;
        SCOPED_TRACE(cat(label(method), ", ", sampler));
        // REINFORCE's scalar differs by the old log-density, a constant.
        expect_published(method, steps,
                         method.regularisation.importance != Importance::none);
      }
    }
  }
}

TEST(RsmLoss, OnlyAnchorsArePulledWhereRowsAreNot) {
  for (const bool as_published : {false, true}) {
    auto method = method_of("even", Importance::matching, KlForm::even);
    method.regularisation.pull_rows = false;
    method.as_published = as_published;
    expect_published(method, every_sampler().back().second);
  }
}

TEST(RsmLoss, OnePlusLogRhoHasTheGradientOfMatching) {
  auto method = method_of("base", Importance::matching, KlForm::exact);
  for (const auto& [sampler, steps] : every_sampler()) {
    SCOPED_TRACE(sampler);
    const auto problem = random_problem(method, steps);
    auto logrho = method;
    logrho.name = "logrho";
    logrho.regularisation.importance = Importance::ratio;
    EXPECT_LT(relative(loss_of(method, problem).gradient,
                       published_loss(logrho, problem).gradient),
              1e-9);
  }
}

TEST(RsmLoss, CpsAsPublishedIsTwiceTheVariance) {
  const auto method = method_of("cps", Importance::ratio, KlForm::exact);
  for (const auto& [sampler, steps] : every_sampler()) {
    SCOPED_TRACE(sampler);
    expect_published(method, steps);
  }
}

TEST(RsmLoss, ProblemsHaveEveryKindOfRow) {
  for (const auto& method : every_form()) {
    if (method.regularisation.importance == Importance::none) continue;
    SCOPED_TRACE(label(method));
    const auto problem = random_problem(method);
    const auto clipped = loss_of(method, problem).rows.clipped;
    const auto live = problem.advantages.alive;
    const auto up = problem.advantages.value > 0;
    const auto down = problem.advantages.value < 0;
    EXPECT_GT((clipped & up).sum().item<int64_t>(), 0);
    EXPECT_GT((clipped & down).sum().item<int64_t>(), 0);
    EXPECT_GT((~clipped & up).sum().item<int64_t>(), 0);
    EXPECT_GT((~clipped & down).sum().item<int64_t>(), 0);
    EXPECT_EQ((~live).sum().item<int64_t>(), 7);
    EXPECT_EQ((clipped & ~live).sum().item<int64_t>(), 0);
  }
}

TEST(RsmLoss, GradientIsTheScalarsSlope) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    auto problem = random_problem(method);
    const auto result = loss_of(method, problem);
    const auto y = problem.y;
    const auto direction = random(9, y.size(0));
    constexpr double kStep = 1e-6;
    problem.y = y + kStep * direction;
    const double above = loss_of(method, problem).loss();
    problem.y = y - kStep * direction;
    const double below = loss_of(method, problem).loss();
    const double slope = (result.gradient * direction).sum().item<double>();
    // Central difference: float64 rounding of a loss of order 1 over 2e-6.
    EXPECT_NEAR((above - below) / (2 * kStep), slope,
                1e-5 * std::abs(slope) + 1e-9);
  }
}

TEST(RsmLoss, SharedStatesGiveTheGradientOfOnePassARow) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    const auto problem = random_problem(method);
    auto terms = terms_of(method, problem, problem.states);
    terms.states.k_ref.zero_();
    const auto shared = rsm_loss(problem.y, terms.states, terms.rows);
    const auto state = terms.rows.state;
    auto rows = terms.rows;
    rows.state = torch::arange(state.size(0));
    LossStates copies;
    copies.y_old = terms.states.y_old.index_select(0, state);
    copies.k_ref = torch::zeros({state.size(0)}, torch::kFloat64);
    const auto single =
        rsm_loss(problem.y.index_select(0, state), copies, rows);
    const auto summed = torch::zeros_like(shared.gradient)
                            .index_add_(0, state, single.gradient);
    EXPECT_LT(relative(summed, shared.gradient), 1e-12);
    EXPECT_DOUBLE_EQ(single.policy, shared.policy);
  }
}

TEST(RsmLoss, MicroBatchesOnlyAddUp) {
  const auto method =
      method_of("fairclip2", Importance::matching, KlForm::exact);
  const auto problem = random_problem(method);
  const auto whole = loss_of(method, problem);
  auto gradient = torch::zeros_like(whole.gradient);
  double loss = 0;
  // 5 and 7 are anchors: the last part has no rows.
  for (const std::vector<int64_t>& part : std::vector<std::vector<int64_t>>{
           {26, 0, 3},
           {1, 2, 4, 6, 8, 9, 10, 11, 12, 13, 14, 15},
           {25, 24, 23, 22, 21, 20, 19, 18, 17, 16},
           {7, 5}}) {
    const auto terms = terms_of(method, problem, part);
    const auto index = torch::tensor(part, torch::kInt64);
    const auto result =
        rsm_loss(problem.y.index_select(0, index), terms.states, terms.rows);
    gradient.index_add_(0, index, result.gradient);
    loss += result.loss();
  }
  EXPECT_LT(relative(gradient, whole.gradient), 1e-14);
  EXPECT_NEAR(loss, whole.loss(), 1e-14);
}

TEST(RsmLoss, StartsAtGuidanceAloneWithRatioOne) {
  for (auto method : every_form()) {
    SCOPED_TRACE(label(method));
    method.regularisation.beta = 0;
    auto problem = random_problem(method);
    problem.y = problem.y_old;
    const auto terms = terms_of(method, problem, problem.states);
    const auto result = rsm_loss(problem.y, terms.states, terms.rows);
    EXPECT_TRUE(result.rows.importance.eq(1).all().item<bool>());
    EXPECT_FALSE(result.rows.clipped.any().item<bool>());
    EXPECT_TRUE(result.rows.log_ratio().eq(0).all().item<bool>());
    const auto p =
        (terms.rows.weight * terms.rows.guidance).view({-1, 1, 1, 1}) *
        terms.rows.eps;
    const auto expected = torch::zeros_like(problem.y)
                              .index_add_(0, terms.rows.state, p)
                              .mul_(-2.0 / 24);
    EXPECT_LT(relative(result.gradient, expected), 1e-14);
    EXPECT_EQ(result.kl, 0);
  }
}

TEST(RsmLoss, CentredClippingIgnoresTheBias) {
  const auto method = method_of("guard", Importance::ratio, KlForm::exact);
  const auto problem = random_problem(method);
  const auto terms = terms_of(method, problem, problem.states);
  EXPECT_TRUE(terms.rows.trust.eq(0).all().item<bool>());
  const auto rows = row_losses(problem.y, terms.states, terms.rows);
  EXPECT_TRUE(
      torch::allclose(rows.importance, (-terms.rows.exponent * rows.t2).exp()));
}

TEST(RsmLoss, OutsideCountsBothSidesInTheRatioForm) {
  const auto method = method_of("base", Importance::ratio, KlForm::exact);
  const auto problem = random_problem(method);
  const auto rows = loss_of(method, problem).rows;
  const auto left = (rows.importance - 1).abs() > 5e-5;
  EXPECT_TRUE(torch::equal(rows.outside, left));
  // Clipped is the favourable side only.
  const auto up = rows.importance > 1;
  const auto good = problem.advantages.value > 0;
  const auto bad = problem.advantages.value < 0;
  EXPECT_TRUE(torch::equal(rows.clipped, left & ((good & up) | (bad & ~up))));
  EXPECT_GT((rows.outside & ~rows.clipped).sum().item<int64_t>(), 0);
}

TEST(RsmLoss, Float32FollowsFloat64) {
  for (const auto& method : every_form()) {
    SCOPED_TRACE(label(method));
    const auto problem = random_problem(method);
    auto single = problem;
    single.y = problem.y.to(torch::kFloat32);
    single.y_old = problem.y_old.to(torch::kFloat32);
    single.y_ref = problem.y_ref.to(torch::kFloat32);
    const auto expected = loss_of(method, problem);
    const auto actual = loss_of(method, single);
    EXPECT_EQ(actual.gradient.scalar_type(), torch::kFloat32);
    EXPECT_TRUE(torch::equal(actual.rows.clipped, expected.rows.clipped));
    // y - y_old loses two digits of float32's seven.
    EXPECT_LT(relative(actual.gradient.to(torch::kFloat64), expected.gradient),
              1e-5);
  }
}

TEST(RsmLoss, RefusesWhatDoesNotFit) {
  const auto method = method_of("base", Importance::ratio, KlForm::exact);
  const auto problem = random_problem(method);
  const auto good = terms_of(method, problem, problem.states);
  EXPECT_THROW(rsm_loss(problem.y.slice(0, 0, 3), good.states, good.rows),
               Error);
  EXPECT_THROW(rsm_loss(problem.y.to(torch::kHalf), good.states, good.rows),
               Error);
  EXPECT_THROW(rsm_loss(problem.y.to(torch::kFloat32), good.states, good.rows),
               Error);
  auto unreferenced = good;
  unreferenced.states.y_ref = Tensor();
  EXPECT_THROW(rsm_loss(problem.y, unreferenced.states, unreferenced.rows),
               Error);
  auto short_rows = good;
  short_rows.rows.weight = short_rows.rows.weight.slice(0, 1);
  EXPECT_THROW(rsm_loss(problem.y, short_rows.states, short_rows.rows), Error);
}

}  // namespace
}  // namespace rsm
