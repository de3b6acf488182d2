// The estimator as a whole, of a model and a scorer that are known.

#include "rsm/estimators/surrogate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/estimators/gradient_testing.h"
#include "rsm/estimators/zeroth_order.h"
#include "rsm/io/testing.h"
#include "rsm/rollouts/testing.h"

namespace rsm {
namespace {

using SurrogateAt = SurrogateKnobs::At;

/** r^ = sum of weights tanh(x) + prompt's number, by gradient descent. */
class CurvedScorer : public LearntScalar {
 public:
  torch::Tensor at(const torch::Tensor& x, const torch::Tensor& t,
                   const ConditionRows& conditions) override {
    EXPECT_EQ(t.abs().max().item<float>(), 0);
    const auto own = conditions.gathered(at::arange(x.size(0)));
    return x.tanh().flatten(1).mv(weights.flatten()) + own.pooled.flatten();
  }
  torch::Tensor slope(const torch::Tensor& x, const torch::Tensor&,
                      const ConditionRows&) override {
    return (1 - x.tanh().square()) * weights;
  }
  void update(const torch::Tensor& x, const torch::Tensor&,
              const ConditionRows&, const torch::Tensor& loss_slope) override {
    constexpr float kRate = 0.05F;
    const auto along = loss_slope.to(at::kFloat).view({-1, 1, 1, 1});
    weights = weights - kRate * (along * x.tanh()).sum(0);
    pictures.push_back(x.size(0));
  }
  StateDict state() const override { return {{"weights", weights.clone()}}; }
  void load_state(const StateDict& state) override {
    weights = state.at("weights").clone();
  }

  torch::Tensor weights = counted_normal(5, kShape);
  std::vector<int64_t> pictures;
};

/** Pictures are their latents, and the reward is a number of these. */
class SumOfPixels : public Reward {
 public:
  std::string name() const override { return "sum"; }
  RewardScores score(const torch::Tensor& images,
                     const Prompts&) const override {
    const auto weight = counted_normal(6, images[0].sizes());
    return {(images * weight).flatten(1).sum(1), {}};
  }
};

struct SurrogateSetting {
  SurrogateSetting(const PathPointer& where, SurrogateAt at,
                   const std::string& entry = "rsm-flow")
      : path(where),
        denoiser(where),
        method(for_family(find_method(entry), where->family())) {
    method.estimator.surrogate.at = at;
    plan = plan_on(*path, method);
    estimator = make();
    sampled = draw(3);
  }

  std::unique_ptr<Surrogate> make() {
    return std::make_unique<Surrogate>(
        method, 1,
        GradientParts{reward, decoder, *path, denoiser, denoiser, nullptr,
                      scorer});
  }
  Sampled draw(int64_t epoch) {
    auto request = request_for(2, 2);
    request.epoch = epoch;
    Sampled out;
    out.rollout = roll_out(denoiser, *path, plan, request);
    out.conditions = request.conditions;
    out.scores = reward.score(out.rollout.latents, {});
    return out;
  }
  const Rollout& rollout() const { return sampled.rollout; }

  /** r^ of the picture that is predicted from where rows of a state may lead.
   */
  double foretold(int64_t state, const torch::Tensor& at) {
    const auto& step = rollout().transition_of(state);
    const bool through = method.estimator.surrogate.at == SurrogateAt::network;
    const auto given = sampled.conditions_of({state});
    const auto own =
        step.a_x * rollout().x[state] + step.m_y * rollout().y[state];
    const auto by = path->prediction(step.t_next);
    torch::Tensor picture;
    if (through) {
      const auto t = torch::tensor({static_cast<float>(step.t_next)});
      const auto y = denoiser.predict(at.unsqueeze(0), t, given)[0];
      picture = by.x * at + by.y * y;
    } else {
      const auto held = path->prediction(step.t);
      picture = held.x * rollout().x[state] + held.y * rollout().y[state] +
                by.x * (at - own);
    }
    return scorer->at(picture.unsqueeze(0), at::zeros({1}), given)
        .item<double>();
  }

  PathPointer path;
  GaussianDenoiser denoiser;
  SumOfPixels reward;
  SquashedPixels decoder;
  std::shared_ptr<CurvedScorer> scorer = std::make_shared<CurvedScorer>();
  Method method;
  RolloutPlan plan;
  std::unique_ptr<Surrogate> estimator;
  Sampled sampled;
};

TEST(Surrogate, HasTheSlopeOfWhatItForetellsPerUnitOfNoise) {
  for (const auto& path : both_paths()) {
    for (const auto at : {SurrogateAt::picture, SurrogateAt::network}) {
      SurrogateSetting here(path, at);
      const auto slopes = here.estimator->slopes(here.sampled);
      EXPECT_EQ(slopes.states, states_with_rows(here.rollout()));
      for (size_t i = 0; i < slopes.states.size(); i += 3) {
        const int64_t state = slopes.states[i];
        const auto& step = here.rollout().transition_of(state);
        const auto mean = step.a_x * here.rollout().x[state] +
                          step.m_y * here.rollout().y[state];
        const auto along = counted_normal(7, kShape);
        constexpr double kStep = 1e-2;  // float32
        const double found =
            (here.foretold(state, mean + kStep * step.s * along) -
             here.foretold(state, mean - kStep * step.s * along)) /
            (2 * kStep);
        const double told =
            (slopes.y[static_cast<int64_t>(i)] * along).sum().item<double>();
        EXPECT_NEAR(told, found, 0.01 * std::abs(told) + 0.005)
            << name_of(*path) << " " << i;
      }
    }
  }
}

TEST(Surrogate, IsPlainInItsFirstEpochAndTakesOffWhatItLearntInLaterOnes) {
  SurrogateSetting here(flow_path(), SurrogateAt::picture);
  ZerothOrder plain(here.method, 1);
  const auto first = here.estimator->guide(here.sampled, 0);
  const auto expected = plain.guide(here.sampled, 0);
  EXPECT_TRUE(first.advantages.value.equal(expected.advantages.value));
  EXPECT_EQ(first.trained, expected.trained);
  EXPECT_TRUE(first.slope.states.empty());
  here.estimator->learn(here.sampled, {});
  const auto next = here.draw(4);
  const auto second = here.estimator->guide(next, 1);
  const auto& told = second.by_step.at("surrogate_coefficient");
  EXPECT_GT(std::abs(told.at(0)), 0);
  EXPECT_TRUE(std::isnan(told.at(4)));  // no rows
  EXPECT_EQ(second.slope.states, states_with_rows(next.rollout));
  EXPECT_FALSE(
      second.advantages.value.equal(plain.guide(next, 1).advantages.value));
}

/** What an epoch's fit says is not of that epoch: else it would know noise that
 * it is multiplied by. */
TEST(Surrogate, TakesNoCoefficientFromItsOwnEpoch) {
  SurrogateSetting here(flow_path(), SurrogateAt::picture);
  here.estimator->guide(here.sampled, 0);
  here.estimator->learn(here.sampled, {});
  const auto of = [&](const Sampled& epoch) {
    return here.estimator->guide(epoch, 1).by_step.at("surrogate_coefficient");
  };
  const auto one = of(here.draw(4)), other = of(here.draw(5));
  for (int64_t step = 0; step < 4; ++step) {
    EXPECT_EQ(one.at(step), other.at(step));
  }
}

TEST(Surrogate, LearnsItsRewardsAndThenForetellsThem) {
  for (const std::string entry : {"rsm-flow", "flow-grpo"}) {
    SurrogateSetting here(flow_path(), SurrogateAt::picture, entry);
    std::vector<double> loss, share;
    for (int64_t epoch = 0; epoch < 12; ++epoch) {
      const auto sampled = here.draw(10 + epoch);
      const auto told = here.estimator->guide(sampled, epoch);
      loss.push_back(told.numbers.at("surrogate_loss"));
      share.push_back(told.by_step.at("surrogate_share").at(2));
      if (epoch == 11) {
        EXPECT_GT(told.numbers.at("surrogate_correlation"), 0.8) << entry;
      }
      here.estimator->learn(sampled, {});
    }
    EXPECT_LT(loss.back(), 0.5 * loss.front()) << entry;
    // All that is linear in the noise, but for the spreads of eight rewards.
    if (entry == "rsm-flow") {
      EXPECT_GT(share.back(), 0.7);
    }
    for (const int64_t count : here.scorer->pictures) EXPECT_LE(count, 32);
    EXPECT_EQ(here.scorer->pictures.size(), 12 * 20);
  }
}

TEST(Surrogate, TakesAFixedCoefficientWhereItIsGiven) {
  SurrogateSetting here(flow_path(), SurrogateAt::picture);
  here.method.estimator.surrogate.coefficient = 0.25;
  here.estimator = here.make();
  const auto told = here.estimator->guide(here.sampled, 0);
  EXPECT_EQ(told.by_step.at("surrogate_coefficient").at(0), 0.25);
  EXPECT_FALSE(told.slope.states.empty());
}

TEST(Surrogate, CountsItsPassesThroughTheNetwork) {
  for (const auto at : {SurrogateAt::picture, SurrogateAt::network}) {
    SurrogateSetting here(diffusion_path(), at);
    const int64_t before = here.denoiser.rows;
    const auto told = here.estimator->guide(here.sampled, 0);
    EXPECT_EQ(told.evaluations, here.denoiser.rows - before);
    EXPECT_EQ(told.evaluations,
              passes_for(here.rollout(), here.method.estimator.surrogate));
    EXPECT_EQ(told.evaluations > 0, at == SurrogateAt::network);
  }
}

TEST(Surrogate, GoesOnFromItsState) {
  SurrogateSetting here(flow_path(), SurrogateAt::picture, "ddpo");
  const auto saved = here.estimator->state();
  here.estimator->guide(here.sampled, 0);
  here.estimator->learn(here.sampled, {});
  const auto state = here.estimator->state();
  const auto whole = here.estimator->guide(here.draw(4), 1);
  here.estimator->load_state(saved);  // forgets
  EXPECT_TRUE(here.estimator->guide(here.sampled, 0).slope.states.empty());
  auto other = here.make();
  other->load_state(state);
  const auto parts = other->guide(here.draw(4), 1);
  EXPECT_TRUE(whole.advantages.value.equal(parts.advantages.value));
  EXPECT_TRUE(whole.slope.y.equal(parts.slope.y));
  EXPECT_EQ(whole.numbers, parts.numbers);
}

TEST(Surrogate, RefusesWhatIsNotItsOwn) {
  SurrogateSetting here(flow_path(), SurrogateAt::picture);
  auto state = here.estimator->state();
  state.erase("surrogate.fit");
  expect_parts(error_of([&] { here.estimator->load_state(state); }),
               {"[surrogate]", "surrogate.fit", "another method"});
  here.scorer->weights = at::full(kShape, std::nan(""));
  expect_parts(error_of([&] { here.estimator->guide(here.sampled, 1); }),
               {"[surrogate] epoch 2", "not finite"});
  here.scorer = nullptr;
  expect_parts(error_of([&] { here.make(); }), {"[surrogate]", "no network"});
}

TEST(RunningMoments, StandardiseByTheRewardsOfEarlierEpochs) {
  RunningMoments moments(0.5);
  const auto first = torch::tensor({1.0F, 3.0F});
  EXPECT_TRUE(moments.standardised(first).equal(
      torch::tensor({-1.0, 1.0}, at::kDouble)));  // by their own
  moments.add(first);
  EXPECT_EQ(moments.standardised(torch::tensor({4.0F})).item<double>(), 2);
  moments.add(torch::tensor({5.0F, 5.0F}));
  // Weights 0.5, 0.5, 1, 1: mean 4, variance 7/3.
  EXPECT_NEAR(moments.standardised(torch::tensor({6.0F})).item<double>(),
              2 / std::sqrt(7.0 / 3), 1e-12);
  RunningMoments equal(0.5);
  equal.add(torch::tensor({0.1F, 0.1F, 0.1F}));
  EXPECT_EQ(equal.standardised(torch::tensor({0.2F})).item<double>(), 0);
}

}  // namespace
}  // namespace rsm
