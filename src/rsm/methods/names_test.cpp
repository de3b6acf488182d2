#include "rsm/methods/names.h"

#include <gtest/gtest.h>

#include <set>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** Each word names one value and is its name again. */
template <typename Enum>
void expect_round_trip(size_t values) {
  std::set<Enum> seen;
  for (const auto& word : words<Enum>()) {
    EXPECT_EQ(to_string(parse<Enum>(word)), word);
    seen.insert(parse<Enum>(word));
  }
  EXPECT_EQ(seen.size(), values);
  EXPECT_THROW(parse<Enum>("neither"), UsageError);
}

TEST(Names, EveryValueHasOneWord) {
  expect_round_trip<EstimatorKnobs::Source>(6);
  expect_round_trip<PictureKnobs::Guidance>(3);
  expect_round_trip<PictureKnobs::Times>(4);
  expect_round_trip<PictureKnobs::Weight>(4);
  expect_round_trip<PictureKnobs::Mode>(5);
  expect_round_trip<PictureKnobs::Coefficient>(6);
  expect_round_trip<PictureKnobs::Distance>(3);
  expect_round_trip<PictureKnobs::Sampled>(2);
  expect_round_trip<FlowKnobs::Use>(3);
  expect_round_trip<SurrogateKnobs::At>(3);
  expect_round_trip<EstimatorKnobs::Grouping>(4);
  expect_round_trip<EstimatorKnobs::Baseline>(5);
  expect_round_trip<TreeKnobs::Keep>(2);
  expect_round_trip<WindowKnobs::Move>(3);
  expect_round_trip<GradientKnobs::At>(4);
  expect_round_trip<GradientKnobs::Through>(4);
  expect_round_trip<GradientKnobs::Draw>(2);
  expect_round_trip<ValueKnobs::Kind>(4);
  expect_round_trip<ValueKnobs::Law>(2);
  expect_round_trip<EstimatorKnobs::Spread>(3);
  expect_round_trip<EstimatorKnobs::Combine>(3);
  expect_round_trip<EstimatorKnobs::Return>(3);
  expect_round_trip<EstimatorKnobs::Diversity>(3);
  expect_round_trip<SamplerNoise>(6);
  expect_round_trip<Solver>(3);
  expect_round_trip<StrengthKnobs::Shape>(15);
  expect_round_trip<RegularisationKnobs::KlForm>(7);
  expect_round_trip<RegularisationKnobs::Importance>(4);
  expect_round_trip<RegularisationKnobs::ClipIn>(5);
  expect_round_trip<RegularisationKnobs::Mask>(4);
  expect_round_trip<Family>(2);
}

TEST(Names, UnknownWordsAreAnsweredWithTheAllowedOnes) {
  const auto ask = [] { parse<StrengthKnobs::Shape>("sigmma"); };
  EXPECT_THROW(ask(), UsageError);
  EXPECT_EQ(error_of(ask),
            "[parse] unknown \"sigmma\"; known: constant, noise, "
            "proportional, uniform, sigma, variance, flat, linear, quadratic, "
            "predicted, predicted_squared, exact, residual, residual_linear, "
            "short_stride (did you mean \"sigma\"?)");
}

}  // namespace
}  // namespace rsm
