// The catalogue's entries against the losses their papers publish.

#include <gtest/gtest.h>

#include <map>

#include "rsm/methods/catalogue.h"
#include "rsm/objective/published_testing.h"

namespace rsm {
namespace {

using Importance = RegularisationKnobs::Importance;

/** A loss of objective/testing.h. */
struct PublishedLoss {
  std::string form;
  Importance importance;
};

/** The loss of every entry as its paper writes it; `released` as its release
 * computes it, where that differs. */
struct Expected {
  PublishedLoss corrected;
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
      {"flow-grpo", {ratio}},
      {"dance-grpo", {ratio}},
      {"branch-grpo", {ratio}},
      {"grpo-guard", {{"guard", Importance::ratio}}},
      {"pcpo", {{"pcpo", Importance::ratio}}},
      {"pcpo-vw", {matching}},
      {"pcpo-logrho", {{"logrho", Importance::ratio}}},
      {"pcpo-uw-lambda", {matching}},
      {"pcpo-uw-sigma", {matching, even}},
      {"tempflow-grpo", {{"tempflow", Importance::ratio}}},
      {"tempflow-matching", {{"tempflow", Importance::matching}}},
      {"rsm-fairclip", {{"fairclip", Importance::matching}}},
      {"rsm-flow", {{"fairclip2", Importance::matching}}},
      {"rsm-diffusion", {matching, even}},
  };
  return all;
}

/** Ten steps of the entry's own sampler, of each family it is for. */
std::vector<Transitions> own_samplers(const Method& method) {
  std::vector<Transitions> out;
  for (const auto& schedule :
       {FlowMatchSchedule{}.to_json(), DdimSchedule{}.to_json()}) {
    const auto path = Path::from_json(schedule);
    const bool flow = path->family() == Path::Family::flow;
    const bool fits = method.family == Method::Family::both ||
                      (method.family == Method::Family::flow) == flow;
    // DanceGRPO's noise is for flows; on diffusion models it takes DDIM's.
    const bool dances = method.estimator.noise == SamplerNoise::constant;
    if (!fits || (dances && !flow)) continue;
    StepNoise noise;
    noise.kind = method.estimator.noise;
    noise.level = usual_level(noise.kind, path->family());
    out.push_back(path->noisy_steps(path->times(10), noise));
  }
  return out;
}

TEST(Catalogue, EveryEntryHasItsPublishedGradient) {
  for (const auto& entry : catalogue()) {
    const auto& expected = expectations().at(entry.name);
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
      for (const auto& steps : samplers) {
        SCOPED_TRACE(cat(entry.name, as_published ? " as published" : ""));
        const auto problem = random_problem(method, steps);
        const auto result = loss_of(method, problem);
        const auto reference = published_loss(published, problem);
        EXPECT_LT(relative(result.gradient, reference.gradient), 1e-9);
        EXPECT_NEAR(result.kl, reference.kl, 1e-12 * reference.kl);
      }
    }
  }
}

}  // namespace
}  // namespace rsm
