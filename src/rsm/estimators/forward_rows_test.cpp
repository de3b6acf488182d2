// Branches whose pictures are noised again: the sum of both gradients, one of
// them by autograd.

#include "rsm/estimators/forward_rows.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>

#include "rsm/base/random.h"
#include "rsm/estimators/picture_problem_testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/profiles.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/paths/flow_path.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

constexpr int64_t kForwardSteps = 10, kForwardDraws = 2, kRoots = 4;

std::unique_ptr<Estimator> estimator_of(const Method& method) {
  if (method.estimator.forward.is_on()) {
    return std::make_unique<ForwardRows>(method, 1);
  }
  return std::make_unique<ZerothOrder>(method, 1);
}

/** Four roots of two prompts, drawn as the method says but for their numbers,
 * which are random; outputs of what is trained, of before and of the reference
 * are all different. */
struct Problem {
  Method method;
  Sampled sampled;
  torch::Tensor y, y_old, y_ref;  ///< [S,C,H,W]

  explicit Problem(const Method& of) : method(fitted(of, kForwardSteps)) {
    const FlowPath path;
    const auto plan = make_plan(method, kForwardSteps, {.level = 0.7});
    RolloutRequest request;
    request.prompts = {{10, "a", ""}, {11, "b", ""}};
    request.conditions.tokens = torch::zeros({2, 1, 1});
    request.members = kRoots / 2;
    request.latent_shape = {2, 3, 4};
    auto& rollout = sampled.rollout;
    rollout = make_room(path, plan, request);
    const auto random = [&](uint64_t seed, int64_t count) {
      return counted_normal(seed, {count, 2, 3, 4}).to(torch::kFloat64);
    };
    const int64_t states = rollout.states();
    rollout.x = random(1, states);
    rollout.x_next = random(2, rollout.rows());
    y_old = random(3, states);
    y = y_old + 0.01 * random(4, states);
    y_ref = y_old + 0.2 * random(5, states);
    sampled.scores.value = counted_normal(6, {rollout.images()});
  }

  Outputs outputs() const {
    const auto all = all_states(sampled.rollout);
    return {{y_old, all}, {y_ref, all}};
  }
  std::vector<int64_t> forward_states() const {
    std::vector<int64_t> out;
    for (const int64_t s : all_states(sampled.rollout)) {
      if (sampled.rollout.is_forward(s)) out.push_back(s);
    }
    return out;
  }
  LossResult loss() const {
    const auto estimator = estimator_of(method);
    auto guidance = estimator->guide(sampled, 0);
    const auto& rollout = sampled.rollout;
    const auto& trained = guidance.trained;
    const auto weights =
        update_weights(method, rollout, guidance.advantages, trained);
    auto terms =
        loss_terms(method, rollout, outputs(), guidance, weights, trained);
    const auto here = y.index_select(0, torch::tensor(trained, torch::kLong));
    estimator->at_output(here, terms);
    return rsm_loss(here, terms.states, terms.rows);
  }
  /** The same problem for branches alone. */
  Problem without_forward_rows() const {
    Problem out = *this;
    out.method.estimator.forward = {};
    auto& rollout = out.sampled.rollout;
    static_cast<RolloutIndex&>(rollout) =
        rsm::without_forward_rows(sampled.rollout);
    std::vector<int64_t> states, rows;
    for (const int64_t s : all_states(sampled.rollout)) {
      if (!sampled.rollout.is_forward(s)) states.push_back(s);
    }
    for (int64_t r = 0; r < sampled.rollout.rows(); ++r) {
      if (!sampled.rollout.is_forward(sampled.rollout.row_state[r])) {
        rows.push_back(r);
      }
    }
    const auto of = torch::tensor(states, torch::kLong);
    for (auto* each : {&rollout.x, &out.y, &out.y_old, &out.y_ref}) {
      *each = each->index_select(0, of);
    }
    rollout.x_next =
        rollout.x_next.index_select(0, torch::tensor(rows, torch::kLong));
    return out;
  }
};

Method with_forward_rows(const std::string& name) {
  auto method = find_method(name);
  auto& forward = method.estimator.forward;
  forward.weight = 0.7;
  forward.beta = 0.3;
  forward.pictures.draws = kForwardDraws;
  forward.pictures.advantage_scale = 0.1;
  forward.pictures.coefficient = PictureKnobs::Coefficient::residual;
  forward.pictures.distance = PictureKnobs::Distance::relative;
  return method;
}

/** 0.7 times the mean over forward rows of (0.1 A - delta) L + 0.3 <(v -
 * v_ref)^2>, L = <(t d)^2> / <|t d|> with the divisor held, where A is the
 * advantage of the branch that led to the picture. */
torch::Tensor forward_loss(const Problem& p, const torch::Tensor& v) {
  const auto& rollout = p.sampled.rollout;
  const auto alone = p.without_forward_rows();
  const auto branches =
      ZerothOrder(alone.method, 1).guide(alone.sampled, 0).advantages;
  std::vector<int64_t> rows, images;
  for (int64_t r = 0; r < rollout.rows(); ++r) {
    if (!rollout.is_forward(rollout.row_state[r])) continue;
    rows.push_back(r);
    // A branch's number is its picture's.
    images.push_back(rollout.row_image[r]);
  }
  const auto a = branches.value.to(torch::kFloat64)
                     .index_select(0, torch::tensor(images, torch::kLong));
  const auto states = p.forward_states();
  const auto at = torch::tensor(states, torch::kLong);
  const auto y_c =
      rollout.x_next.index_select(0, torch::tensor(rows, torch::kLong));
  std::vector<double> times;
  for (const int64_t s : states) times.push_back(rollout.own[s].t);
  const auto t = torch::tensor(times, torch::kFloat64).view({-1, 1, 1, 1});
  const auto distance = [&](const torch::Tensor& output) {
    const auto d = t * (output - y_c);
    return mean_of(d.square()) / mean_of(d.abs()).detach();
  };
  const auto y = v.index_select(0, at);
  const auto here = distance(y);
  const auto delta = distance(p.y_old.index_select(0, at)) - here.detach();
  const auto apart = mean_of((y - p.y_ref.index_select(0, at)).square());
  return 0.7 * ((0.1 * a - delta) * here + 0.3 * apart).mean();
}

TEST(ForwardRows, AddTheirGradientToTheBranches) {
  // Clipped by a hinge; by a ratio; anchors elsewhere.
  for (const char* name : {"rsm-flow", "tempflow-grpo", "rsm-fairclip"}) {
    SCOPED_TRACE(name);
    const Problem problem(with_forward_rows(name));
    const auto alone = problem.without_forward_rows();
    ASSERT_EQ(problem.sampled.rollout.rows() - alone.sampled.rollout.rows(),
              kForwardDraws * alone.sampled.rollout.images());
    auto y = problem.y.clone().requires_grad_();
    auto expected = torch::autograd::grad({forward_loss(problem, y)}, {y})[0];
    const double of_forward = expected.norm().item<double>();
    std::vector<int64_t> others;
    for (const int64_t s : all_states(problem.sampled.rollout)) {
      if (!problem.sampled.rollout.is_forward(s)) others.push_back(s);
    }
    const auto branches = alone.loss();
    expected.index_add_(0, torch::tensor(others, torch::kLong),
                        branches.gradient);
    ASSERT_GT(of_forward, 0);
    ASSERT_GT(branches.gradient.norm().item<double>(), 0);
    // Some branches are clipped, or nothing would show who is not.
    ASSERT_GT(branches.rows.clipped.sum().item<int64_t>(), 0);
    const auto both = problem.loss();
    EXPECT_EQ(both.rows.clipped.sum().item<int64_t>(),
              branches.rows.clipped.sum().item<int64_t>());
    const auto apart =
        (both.gradient - expected)
            .index_select(
                0, torch::tensor(problem.forward_states(), torch::kLong));
    EXPECT_LT(apart.norm().item<double>() / of_forward, 1e-6);  // float32 A
    EXPECT_LT((both.gradient - expected).norm().item<double>() /
                  expected.norm().item<double>(),
              1e-6);
  }
}

/** An update takes some states; forward rows are a mean of those it has. */
TEST(ForwardRows, WeighTheSameWhateverBranchesAreBesideThem) {
  const Problem problem(with_forward_rows("rsm-flow"));
  ForwardRows estimator(problem.method, 1);
  const auto guidance = estimator.guide(problem.sampled, 0);
  const auto& rollout = problem.sampled.rollout;
  const auto forward = problem.forward_states();
  const auto of = [&](const std::vector<int64_t>& states) {
    return update_weights(problem.method, rollout, guidance.advantages, states);
  };
  const auto all = of(guidance.trained), alone = of(forward);
  double sum = 0;
  for (const int64_t s : forward) {
    const auto row = rows_of(rollout, s).first;
    EXPECT_EQ(all.row[row], alone.row[row]);
    EXPECT_EQ(all.k_ref[s], alone.k_ref[s]);
    sum += all.row[row];
  }
  EXPECT_NEAR(sum, 0.7, 1e-12);
}

}  // namespace
}  // namespace rsm
