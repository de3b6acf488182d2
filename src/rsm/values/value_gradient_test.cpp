#include "rsm/values/value_gradient.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/objective/loss.h"
#include "rsm/objective/rows.h"
#include "rsm/values/testing.h"

namespace rsm {
namespace {

constexpr const char* kEntries[] = {"vgg-flow", "residual-db"};
constexpr ValueKnobs::Kind kKinds[] = {
    ValueKnobs::Kind::small, ValueKnobs::Kind::copy, ValueKnobs::Kind::lora};

/** g at states of trained rows: of their own, or of what the step leads to. */
torch::Tensor value_at(ValueSetting& setting, ValueNetwork& network,
                       int64_t state, bool next) {
  const auto& rollout = setting.sampled.rollout;
  const auto& step = rollout.transition_of(state);
  return network.outputs().predict(
      rollout.x.narrow(0, next ? state + 1 : state, 1),
      at::full({1}, next ? step.t_next : step.t, at::kFloat),
      setting.sampled.conditions_of({state}))[0];
}

TEST(ValueGradient, MovesTheTargetAsPublished) {
  for (const std::string name : kEntries) {
    ValueSetting setting(name);
    const auto& method = setting.method;
    const auto& rollout = setting.sampled.rollout;
    const auto estimator = setting.estimator();
    const auto guidance = estimator->guide(setting.sampled, 0);
    const auto all = all_states(rollout);
    const auto random = [&](uint64_t seed) {
      return counted_normal(seed, rollout.x.sizes()).to(at::kDouble);
    };
    const Outputs outputs = {{random(1), all}, {random(2), all}};
    auto y = random(3).requires_grad_(true);
    auto loss = torch::zeros({}, at::kDouble);
    for (const int64_t s : all) {
      const auto& step = rollout.transition_of(s);
      const auto gradient =
          guidance.directions.value[guidance.directions.of_row[s]];
      const auto apart = y[s] - outputs.reference.y[s];
      const bool last = rollout.state_step[s] + 1 == 5;
      const bool balance = name == "residual-db";
      auto g = at::zeros_like(gradient);
      if (!balance || !last) {
        g = value_at(setting, estimator->network(), s, balance);
      }
      const double scale = method.strength.scale, t = step.t;
      if (balance) {
        const double a = step.signal_next, variance = step.s * step.s;
        loss = loss +
               (step.m_y * apart / variance - (scale * a * a * gradient + g))
                   .square()
                   .mean();
        loss = loss + method.regularisation.old *
                          (y[s] - outputs.old.y[s]).square().mean();
      } else {
        loss =
            loss +
            (apart + (1 - t) * (1 - t) * scale * gradient - g).square().mean();
      }
    }
    (loss / std::ssize(all)).backward();
    const auto weights =
        update_weights(method, rollout, guidance.advantages, all);
    const auto terms =
        loss_terms(method, rollout, outputs, guidance, weights, all);
    const auto got = rsm_loss(y.detach(), terms.states, terms.rows).gradient;
    EXPECT_LT((got - y.grad()).norm().item<double>(),
              1e-5 * y.grad().norm().item<double>())
        << name;
    EXPECT_GT(guidance.shift.y.norm().item<double>(), 0) << name;
  }
}

TEST(ValueGradient, LearnsUntilItsLossIsSmaller) {
  for (const std::string name : kEntries) {
    for (const auto kind : kKinds) {
      ValueSetting setting(name);
      // Else a gradient, and with it the loss, changes its size by the epoch.
      setting.method.estimator.gradient.norm_quantile = 0;
      auto& value = setting.method.estimator.gradient.value;
      value.kind = kind;
      value.rank = 2;
      value.output_scale = 0.1;
      value.lr = 2e-3;
      const auto estimator = setting.estimator();
      std::vector<double> losses;
      for (int64_t epoch = 0; epoch < 8; ++epoch) {
        const auto guidance = estimator->guide(setting.sampled, epoch);
        losses.push_back(guidance.numbers.at("value_loss"));
        estimator->learn(setting.sampled, {});
      }
      EXPECT_LT(losses.back(), losses.front())
          << name << " " << static_cast<int>(kind);
    }
  }
}

TEST(ValueGradient, BeginsAsSmallAsItIsAskedTo) {
  for (const auto kind : kKinds) {
    ValueSetting setting("vgg-flow");
    auto& value = setting.method.estimator.gradient.value;
    value.kind = kind;
    value.rank = 2;
    const auto norm_at = [&](double scale) {
      value.output_scale = scale;
      const auto guidance = setting.estimator()->guide(setting.sampled, 0);
      return guidance.numbers.at("value_norm");
    };
    const double whole = norm_at(1);
    EXPECT_GT(whole, 1e-2);
    EXPECT_NEAR(norm_at(1e-3), 1e-3 * whole, 1e-6 * whole);
  }
}

void run_epochs(ValueSetting& setting, ValueGradient& estimator, int64_t first,
                int64_t last) {
  for (int64_t epoch = first; epoch < last; ++epoch) {
    estimator.guide(setting.sampled, epoch);
    estimator.learn(setting.sampled, {});
  }
}

TEST(ValueGradient, GoesOnFromItsStateInTheSameBits) {
  for (const std::string name : kEntries) {
    for (const auto kind : kKinds) {
      const auto where = cat(name, " ", static_cast<int>(kind));
      ValueSetting setting(name);
      setting.method.estimator.gradient.value.kind = kind;
      setting.method.estimator.gradient.value.rank = 2;
      const auto whole = setting.estimator();
      run_epochs(setting, *whole, 0, 4);
      const auto before = setting.estimator(/*workers=*/3);
      run_epochs(setting, *before, 0, 2);
      const auto saved = before->state();
      const auto after = setting.estimator();
      after->load_state(saved);
      run_epochs(setting, *after, 2, 4);
      const auto expected = whole->state(), got = after->state();
      ASSERT_EQ(expected.size(), got.size()) << where;
      for (const auto& tensor : whole->network().names()) {
        EXPECT_TRUE(expected.contains("value_network.weights." + tensor));
        EXPECT_TRUE(expected.contains(
            cat("value_network.adamw.", tensor, ".exp_avg_sq")));
      }
      for (const auto& [tensor, value] : expected) {
        EXPECT_TRUE(value.equal(got.at(tensor))) << where << " " << tensor;
      }
      auto foreign = saved;
      foreign["value_network.weights." + whole->network().names()[0]] =
          at::zeros({1});
      EXPECT_THROW(after->load_state(foreign), Error) << where;
    }
  }
}

TEST(ValueGradient, TellsItsNormByStep) {
  ValueSetting setting("residual-db");
  const auto guidance = setting.estimator()->guide(setting.sampled, 0);
  const auto& norms = guidance.by_step.at("value_norm");
  ASSERT_EQ(norms.size(), 5u);
  EXPECT_GT(norms[0], 0);
  EXPECT_EQ(norms[4], 0);  // the last step's target is without it
  double mean = 0;
  for (const double norm : norms) mean += norm / 5;
  EXPECT_NEAR(mean, guidance.numbers.at("value_norm"), 1e-6 * mean);
  EXPECT_TRUE(guidance.by_step.contains("guidance_norm"));
}

}  // namespace
}  // namespace rsm
