#include "rsm/train/loss_conditions.h"

#include <gtest/gtest.h>

namespace rsm {
namespace {

Sampled two_prompts() {
  Sampled out;
  out.rollout.state_prompt = {0, 0, 1, 1};
  out.conditions = {at::arange(6, at::kFloat).view({2, 3, 1}),
                    at::arange(4, at::kFloat).view({2, 2})};
  return out;
}

Condition empty_prompt() {
  return {at::full({1, 3, 1}, -1.0F), at::full({1, 2}, -2.0F)};
}

TEST(LossConditions, AreThePromptsButOfStatesThatLoseTheirs) {
  const auto sampled = two_prompts();
  const LossConditions given(sampled, {1, 2}, empty_prompt());
  const auto rows = at::arange(3);
  const auto got = given.of({0, 2, 3}).gathered(rows);
  EXPECT_TRUE(got.tokens.equal(
      at::cat({sampled.conditions.tokens.narrow(0, 0, 1), empty_prompt().tokens,
               sampled.conditions.tokens.narrow(0, 1, 1)})));
  EXPECT_TRUE(got.pooled.equal(
      at::cat({sampled.conditions.pooled.narrow(0, 0, 1), empty_prompt().pooled,
               sampled.conditions.pooled.narrow(0, 1, 1)})));
}

TEST(LossConditions, AreThePromptsWhereNoneIsLost) {
  const auto sampled = two_prompts();
  const LossConditions given(sampled, {}, {});
  const auto rows = at::arange(4);
  const auto got = given.of({0, 1, 2, 3}).gathered(rows);
  const auto own = sampled.conditions_of({0, 1, 2, 3}).gathered(rows);
  EXPECT_TRUE(got.tokens.equal(own.tokens));
  EXPECT_TRUE(got.pooled.equal(own.pooled));
}

}  // namespace
}  // namespace rsm
