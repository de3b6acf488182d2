// The one loss against the published losses by autograd.

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/testing.h"
#include "rsm/objective/published_testing.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;
using KlForm = RegularisationKnobs::KlForm;
using Mask = RegularisationKnobs::Mask;

const std::vector<Mask> kEveryMask = {Mask::policy, Mask::rows, Mask::none};

void expect_published(const Method& method, const Transitions& steps,
                      bool same_scalar = true,
                      torch::Device device = torch::kCPU) {
  const auto problem = random_problem(method, steps);
  const auto result = loss_of(method, moved(problem, device));
  const auto expected = published_loss(method, problem);
  // Rounding in float64; (1 + xi A) - 1 costs the ratio a few digits.
  EXPECT_LT(relative(result.gradient.to(at::kCPU), expected.gradient), 1e-9);
  EXPECT_NEAR(result.pull, expected.kl, 1e-12 * expected.kl);
  if (same_scalar) {
    EXPECT_NEAR(result.policy, expected.policy,
                1e-9 * std::abs(expected.policy));
  }
}

class RsmLossOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(RsmLossOn);

TEST_P(RsmLossOn, GradientEqualsEveryPublishedLossOnEverySampler) {
  for (const auto& [sampler, steps] : every_sampler()) {
    for (auto method : every_form()) {
      // How rows are weighed does not depend on the sampler.
      const bool first = &sampler == &every_sampler().front().first;
      for (const auto mask :
           first ? kEveryMask : std::vector<Mask>{Mask::policy}) {
        method.regularisation.mask = mask;
        method.as_published = mask == Mask::rows;
        SCOPED_TRACE(cat(label(method), ", ", sampler));
        // REINFORCE's scalar differs by the old log-density, a constant.
        expect_published(method, steps,
                         method.regularisation.importance != Importance::none,
                         device());
      }
    }
  }
}

TEST(RsmLoss, OnlyAnchorsArePulledWhereRowsAreNot) {
  for (const auto mask : kEveryMask) {
    auto method = method_of("even", Importance::matching, KlForm::unweighted);
    method.regularisation.pull_rows = false;
    method.regularisation.mask = mask;
    method.as_published = mask == Mask::rows;
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

}  // namespace
}  // namespace rsm
