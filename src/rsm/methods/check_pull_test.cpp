// What contradicts itself of pairs, of pulls that are gated or reset, and of
// diversity.

#include "rsm/methods/check_pull.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/check_method.h"
#include "rsm/methods/testing.h"

namespace rsm {
namespace {

TEST(CheckPull, SaysWhatWouldAddUp) {
  using Grouping = EstimatorKnobs::Grouping;
  const std::vector<Contradiction> cases = {
      {"fdfo", [](Method& m) { m.estimator.grouping = Grouping::prompt; },
       "grouping: seed"},
      {"fdfo",
       [](Method& m) { m.strength.shape = StrengthKnobs::Shape::sigma; },
       "predicted_squared"},
      {"fdfo",
       [](Method& m) {
         m.regularisation.beta = 1;
         m.regularisation.kl_form = RegularisationKnobs::KlForm::exact;
       },
       "kl_form: output"},
      {"fdfo",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::picture;
       },
       "surrogate.at: none"},
      {"fdfo",
       [](Method& m) {
         m.regularisation.importance = RegularisationKnobs::Importance::ratio;
         m.regularisation.clip_in = RegularisationKnobs::ClipIn::divergence;
       },
       "clip_in: log_ratio"},
      {"fdfo",
       [](Method& m) {
         m.estimator.diversity = EstimatorKnobs::Diversity::latents;
       },
       "diversity: none"},
      {"branch-grpo",
       [](Method& m) {
         m.estimator.diversity = EstimatorKnobs::Diversity::pixels;
       },
       "diversity: none"},
      {"reinforce-kl",
       [](Method& m) {
         m.estimator.diversity = EstimatorKnobs::Diversity::pixels;
         m.estimator.baseline = EstimatorKnobs::Baseline::none;
       },
       "baseline: mean"},
      {"gardo", [](Method& m) { m.regularisation.beta = 0; }, "beta above 0"},
      {"gardo", [](Method& m) { m.regularisation.gate.share = 0.3; },
       "widen them"},
      {"rsm-flow", [](Method& m) { m.regularisation.gate.share = 0.1; },
       "anchors: false"},
      {"crd", [](Method& m) { m.regularisation.gate.share = 0.1; },
       "least_pull"},
      {"adjoint-matching", [](Method& m) { m.regularisation.gate.share = 0.1; },
       "gate: {share: 0}"},
      {"adjoint-matching", [](Method& m) { m.regularisation.reset.every = 5; },
       "every: 0"},
      {"dance-grpo", [](Method& m) { m.regularisation.reset.kl = 1; },
       "beta above 0"},
  };
  for (const auto& [name, change, answer] : cases) {
    auto method = find_method(name);
    change(method);
    SCOPED_TRACE(name + " " + answer);
    EXPECT_THROW(check_method(method, 10), UsageError);
    expect_parts(error_of([&] { check_method(method, 10); }), {name, answer});
  }
}

TEST(CheckPull, LeavesWhatAddsUp) {
  auto branches = find_method("tempflow-grpo");
  branches.estimator.diversity = EstimatorKnobs::Diversity::latents;
  branches.regularisation.gate.share = 0.05;
  branches.regularisation.reset.every = 3;
  EXPECT_NO_THROW(check_method(branches, 10));
  auto pictures = find_method("diffusion-nft");
  pictures.estimator.diversity = EstimatorKnobs::Diversity::pixels;
  pictures.regularisation.gate.share = 0.05;
  pictures.regularisation.reset.kl = 1e-3;
  EXPECT_NO_THROW(check_method(pictures, 10));
}

}  // namespace
}  // namespace rsm
