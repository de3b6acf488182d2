// The catalogue's entries against the losses their papers publish.

#include <gtest/gtest.h>

#include <map>

#include "rsm/methods/catalogue.h"
#include "rsm/methods/profiles.h"
#include "rsm/objective/published_testing.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;
using Mask = RegularisationKnobs::Mask;

/** A loss of objective/testing.h. */
struct PublishedLoss {
  std::string form;
  Importance importance;
};

/** The loss of every entry as its paper writes it, and the rows that its
 * release takes out: those without an advantage (Flow-GRPO's and its kin's) or
 * none; `released` is the loss as the release computes it, where that differs.
 */
struct Expected {
  PublishedLoss corrected;
  Mask mask = Mask::none;
  std::optional<PublishedLoss> released = {};
};

const std::map<std::string, Expected>& expectations() {
  const PublishedLoss ratio = {"base", Importance::ratio};
  const PublishedLoss matching = {"base", Importance::matching};
  const PublishedLoss even = {"even", Importance::matching};
  static const std::map<std::string, Expected> all = {
      {"reinforce-kl", {{"base", Importance::none}}},
      {"ppo", {ratio}},
      {"ddpo", {ratio}},
      {"grpo", {ratio}},
      {"flow-grpo", {ratio, Mask::rows}},
      {"flow-dppo", {{"divergence", Importance::ratio}}},
      // What its steps gain: estimators/step_gains_test.cpp.
      {"dense-grpo", {ratio}},
      // Which rows it holds, and how: estimators/gate_test.cpp.
      {"gardo", {ratio, Mask::rows}},
      {"mix-grpo", {ratio}},
      {"mix-grpo-flash", {ratio}},
      {"dance-grpo", {ratio}},
      {"branch-grpo", {ratio}},
      {"grpo-guard", {{"guard", Importance::ratio}, Mask::rows}},
      {"pcpo", {{"pcpo", Importance::ratio}, Mask::rows}},
      {"pcpo-vw", {matching}},
      {"pcpo-logrho", {{"logrho", Importance::ratio}}},
      {"pcpo-uw-lambda", {matching}},
      {"pcpo-uw-sigma", {matching, Mask::none, even}},
      {"tempflow-grpo", {{"tempflow", Importance::ratio}, Mask::rows}},
      {"tempflow-matching", {{"tempflow", Importance::matching}, Mask::rows}},
      {"rsm-fairclip", {{"fairclip", Importance::matching}, Mask::rows}},
      {"rsm-flow", {{"fairclip2", Importance::matching}, Mask::rows}},
      // Forward rows: estimators/forward_rows_test.cpp.
      {"rsm-forward", {{"fairclip2", Importance::matching}, Mask::rows}},
      // What is foretold of rows: estimators/control_variate_test.cpp.
      {"rsm-surrogate", {{"fairclip2", Importance::matching}, Mask::rows}},
      {"rsm-diffusion", {matching, Mask::rows, even}},
      // Of a given advantage; estimators/flow_balance_test.cpp has the rest.
      {"dag-db", {{"base", Importance::none}}},
      {"dag-kl", {ratio}},
  };
  return all;
}

/** Ten steps of the entry's own sampler, of each family it is for. */
std::vector<Transitions> own_samplers(const Method& method) {
  std::vector<Transitions> out;
  for (const auto family : {Family::flow, Family::diffusion}) {
    if (!method.is_for(family)) {
      continue;
    }
    const auto path =
        Path::from_json(family == Family::flow ? FlowMatchSchedule{}.to_json()
                                               : DdimSchedule{}.to_json());
    StepNoise noise;
    noise.kind = for_family(method, family).estimator.noise;
    noise.level = usual_level(noise.kind, path->family());
    out.push_back(path->noisy_steps(path->times(10), noise));
  }
  return out;
}

/** Rows of both signs, clipped and not. */
void expect_every_kind_of_row(const Problem& problem,
                              const torch::Tensor& clipped) {
  for (const auto& sign :
       {problem.advantages.value > 0, problem.advantages.value < 0}) {
    EXPECT_GT((clipped & sign).sum().item<int64_t>(), 0);
    EXPECT_GT((~clipped & sign).sum().item<int64_t>(), 0);
  }
}

/** Dead ones and live ones, or masks would be alike. */
void expect_rows_without_an_advantage(const Problem& problem) {
  const auto& advantages = problem.advantages;
  const auto none = advantages.value == 0;
  EXPECT_GT((none & advantages.alive).sum().item<int64_t>(), 0);
  EXPECT_GT((none & ~advantages.alive).sum().item<int64_t>(), 0);
}

TEST(Catalogue, EveryEntryHasItsPublishedGradient) {
  for (const auto& entry : catalogue()) {
    // Those that follow a gradient: objective/first_order_test.cpp; of
    // pictures: estimators/regression_test.cpp; of pairs:
    // estimators/pair_difference_test.cpp.
    if (!entry.estimator.draws_rows()) continue;
    const auto found = expectations().find(entry.name);
    ASSERT_NE(found, expectations().end())
        << entry.name << " has no published loss; say which in expectations()";
    const auto& expected = found->second;
    for (const bool as_published : {false, true}) {
      auto method = find_method(entry.name, as_published);
      const auto samplers = own_samplers(method);
      ASSERT_FALSE(samplers.empty()) << entry.name;
      // Rows of which kind, the loss does not ask.
      method.estimator = EstimatorKnobs();
      method.estimator.branches = {3, 4, 2, 5, 2, 2, 3, 2, 4, 0};
      if (method.regularisation.anchors) method.estimator.branches[5] = 0;
      const auto& loss = as_published && expected.released ? *expected.released
                                                           : expected.corrected;
      auto published = method;
      published.name = loss.form;
      published.regularisation.importance = loss.importance;
      published.regularisation.mask =
          as_published ? expected.mask : Mask::policy;
      for (const auto& steps : samplers) {
        SCOPED_TRACE(cat(entry.name, as_published ? " as published" : ""));
        const auto problem = random_problem(method, steps);
        expect_rows_without_an_advantage(problem);
        const auto result = loss_of(method, problem);
        const auto reference = published_loss(published, problem);
        if (method.regularisation.importance != Importance::none) {
          expect_every_kind_of_row(problem, result.rows.clipped);
        }
        EXPECT_LT(relative(result.gradient, reference.gradient), 1e-9);
        EXPECT_NEAR(result.pull, reference.kl, 1e-12 * reference.kl);
      }
    }
  }
}

/** With one update an epoch the release's bound on norms never moves from 1,
 * with which figures 5 and 6 of arXiv 2604.17415 were made. */
TEST(Catalogue, ABoundThatNeverMovesIsTheReleasesAlone) {
  const auto quantile = [](const std::string& name, bool as_published) {
    const auto knobs = find_method(name, as_published).estimator.gradient;
    EXPECT_EQ(knobs.norm_clip, 1) << name;
    return knobs.norm_quantile;
  };
  EXPECT_EQ(quantile("vgg-flow", false), 0.8);
  EXPECT_EQ(quantile("vgg-flow", true), 0);
  for (const std::string name :
       {"vgg-flow-pruned", "vgg-flow-linear", "rsm-first-flow"}) {
    EXPECT_EQ(quantile(name, false), 0);
    EXPECT_EQ(quantile(name, true), 0);
  }
}

/** PCPO's 50 steps of Stable Diffusion 1.5: guidance as the release weighs it,
 * proportional to the sampler's s. */
TEST(Catalogue, RsmForDiffusionHasThePublishedGuidance) {
  const auto path = Path::from_json(DdimSchedule{}.to_json());
  const auto method = fitted(find_method("rsm-diffusion", true), 50);
  const StepNoise noise = {
      .kind = SamplerNoise::even_weight,
      .level = usual_level(SamplerNoise::even_weight, path->family())};
  const auto h =
      normalised_h(method, path->noisy_steps(path->times(50), noise));
  const std::map<size_t, double> published = {{0, 0.251900},
                                              {10, 0.242727},
                                              {20, 0.220758},
                                              {30, 0.176401},
                                              {40, 0.108214}};
  for (size_t i = 0; i < h.size(); ++i) {
    const auto found = published.find(i);
    // Half a unit of the sixth decimal.
    EXPECT_NEAR(h[i], found == published.end() ? 0 : found->second, 5.1e-7)
        << i;
  }
}

}  // namespace
}  // namespace rsm
