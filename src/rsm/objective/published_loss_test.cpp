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

/** One of flows and one of diffusion: of the others a row's numbers are alike.
 */
const std::vector<std::pair<std::string, Transitions>>& two_samplers() {
  static const std::vector<std::pair<std::string, Transitions>> two = {
      every_sampler().front(), every_sampler().back()};
  return two;
}

TEST_P(RsmLossOn, QuadraticTrustHasItsPublishedGradient) {
  for (const auto& [sampler, steps] : two_samplers()) {
    for (const std::string name : {"tempflow", "pcpo", "guard"}) {
      SCOPED_TRACE(cat(name, ", ", sampler));
      expect_published(method_of(name, Importance::quadratic, KlForm::exact),
                       steps, true, device());
    }
  }
}

TEST_P(RsmLossOn, RowsAreDroppedByTheirDivergence) {
  for (const auto& [sampler, steps] : two_samplers()) {
    for (const auto importance : {Importance::ratio, Importance::matching}) {
      SCOPED_TRACE(cat(static_cast<int>(importance), ", ", sampler));
      expect_published(method_of("divergence", importance, KlForm::exact),
                       steps, true, device());
    }
  }
}

TEST(RsmLoss, QuadraticTrustTurnsRoundAtTheEndOfItsRange) {
  auto method = method_of("base", Importance::quadratic, KlForm::exact);
  method.regularisation.clip_range = 1e-3;
  const auto problem = random_problem(method);
  const auto terms = terms_of(method, problem, problem.states);
  const auto rows = row_losses(problem.y, terms.states, terms.rows);
  const auto moved = rows.log_ratio().expm1() * terms.rows.advantage.sign();
  const auto live = terms.rows.advantage != 0;
  EXPECT_TRUE(rows.importance.masked_select(live & (moved > 1e-3))
                  .lt(0)
                  .all()
                  .item<bool>());
  EXPECT_TRUE(rows.importance.masked_select(live & (moved < 1e-3))
                  .gt(0)
                  .all()
                  .item<bool>());
  EXPECT_GT((live & (moved > 1e-3)).sum().item<int64_t>(), 0);
  EXPECT_FALSE(rows.clipped.any().item<bool>());
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
