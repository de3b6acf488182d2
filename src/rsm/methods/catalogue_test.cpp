#include "rsm/methods/catalogue.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/methods/check_method.h"
#include "rsm/methods/method_config.h"
#include "rsm/methods/testing.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

TEST(Catalogue, EveryEntryAddsUpAndSaysWhereItIsFrom) {
  std::set<std::string> names;
  for (const auto& method : catalogue()) {
    EXPECT_NO_THROW(check_method(method, 10)) << method.name;
    EXPECT_FALSE(method.source.empty()) << method.name;
    EXPECT_FALSE(method.summary.empty()) << method.name;
    EXPECT_TRUE(names.insert(method.name).second) << method.name;
    EXPECT_EQ(to_json(find_method(method.name)), to_json(method));
  }
}

TEST(Catalogue, UnknownNamesAreAnsweredWithKnownOnes) {
  EXPECT_THROW(find_method("rsm-flaw"), UsageError);
  expect_parts(error_of([] { find_method("rsm-flaw"); }),
               {"tempflow-grpo", "did you mean \"rsm-flow\""});
}

struct Budget {
  std::string name;
  int64_t rows, active;
  double mean;
  std::vector<double> kappa;
};

TEST(BranchProfiles, ReproducePublishedBudgets) {
  const std::vector<Budget> budgets = {
      {"base", 54, 9, 6, {1, 1, 1, 1, 1, 1, 1, 1, 1}},
      {"highsnr",
       54,
       9,
       6,
       {2, 2, 1.5, 1.2, 1, 0.857143, 0.857143, 0.75, 0.545455}},
      {"highsnr2",
       54,
       8,
       6.75,
       {1.6875, 1.35, 1.35, 1.125, 0.964286, 0.84375, 0.75, 0.675, 0}},
      {"base2",
       54,
       8,
       6.75,
       {0.964286, 0.964286, 0.964286, 0.964286, 0.964286, 0.964286, 1.125,
        1.125, 0}},
      {"lowsnr", 54, 6, 9, {1.5, 1.5, 1.125, 0.9, 0.818182, 0.692308, 0, 0, 0}},
      {"lowsnr2", 30, 4, 7.5, {1.25, 1.25, 0.9375, 0.75, 0, 0, 0, 0, 0}}};
  for (const auto& budget : budgets) {
    EstimatorKnobs knobs;
    knobs.branches = branch_profile(budget.name, 10);
    ASSERT_EQ(knobs.branches.size(), 10u) << budget.name;
    int64_t rows = 0;
    int64_t active = 0;
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t k = knobs.rows_at(i, 10);
      rows += k;
      active += k > 0;
      // Six digits.
      EXPECT_NEAR(k > 0 ? budget.mean / static_cast<double>(k) : 0,
                  budget.kappa[i], 5e-7)
          << budget.name << " " << i;
    }
    EXPECT_EQ(static_cast<double>(rows) / static_cast<double>(active),
              budget.mean)
        << budget.name;
    EXPECT_EQ(rows, budget.rows) << budget.name;
    EXPECT_EQ(active, budget.active) << budget.name;
  }
}

TEST(BranchProfiles, FitAnyNumberOfStepsOrSayWhichOne) {
  for (const int64_t steps : {2, 10, 20, 50}) {
    for (const std::string name : {"base", "five", "five-four"}) {
      const auto list = branch_profile(name, steps);
      ASSERT_EQ(static_cast<int64_t>(list.size()), steps);
      EXPECT_EQ(list.back(), 0);
      EXPECT_GT(list.front(), 0);
    }
  }
  // arXiv 2604.17415's diffusion runs: steps 0, 10, 20, 30 and 40 of 50.
  const auto five = branch_profile("five", 50);
  for (int64_t i = 0; i < 50; ++i) {
    EXPECT_EQ(five[i], i % 10 == 0 ? 20 : 0) << i;
  }
  for (const auto& [name, steps] :
       {std::pair<std::string, int64_t>{"lowsnr2", 20}, {"lowsnr3", 10}}) {
    EXPECT_THROW(branch_profile(name, steps), UsageError) << name;
  }
}

TEST(Fitted, TreesSplitAsFarAlongAsPublished) {
  const auto tree = [](int64_t steps) {
    return fitted(find_method("branch-grpo"), steps).estimator.tree.split_steps;
  };
  EXPECT_EQ(tree(20), (std::vector<int64_t>{0, 3, 6, 9}));
  EXPECT_EQ(tree(10), (std::vector<int64_t>{0, 1, 3, 4}));
}

TEST(CheckMethod, SaysWhatWouldAddUp) {
  using Grouping = EstimatorKnobs::Grouping;
  const std::vector<Contradiction> cases = {
      {"rsm-flow", [](Method& m) { m.estimator.branches.clear(); },
       "source: rollout"},
      {"rsm-flow",
       [](Method& m) {
         m.estimator.branches = {6, 6, 6};
       },
       "the sampler takes 10"},
      {"rsm-flow", [](Method& m) { m.estimator.branches.push_back(0); },
       "lists 11"},
      {"rsm-flow", [](Method& m) { m.estimator.branches.back() = 6; },
       "set it to 0"},
      {"rsm-flow", [](Method& m) { m.estimator.branches.assign(10, 0); },
       "at least one"},
      {"rsm-flow", [](Method& m) { m.estimator.branches[2] = 1; },
       "grouping: prompt"},
      {"flow-grpo", [](Method& m) { m.estimator.grouping = Grouping::seed; },
       "grouping: prompt"},
      {"flow-grpo", [](Method& m) { m.regularisation.anchors = true; },
       "anchors: false"},
      {"rsm-flow", [](Method& m) { m.regularisation.beta = 0; },
       "anchors: false"},
      {"flow-grpo", [](Method& m) { m.regularisation.clip_range = 0; },
       "clip_range"},
      {"branch-grpo", [](Method& m) { m.estimator.tree.split_steps.clear(); },
       "tree.split_steps"},
      {"branch-grpo", [](Method& m) { m.estimator.tree.skip_steps = {9}; },
       "skip_steps"},
      {"rsm-fairclip",
       [](Method& m) {
         m.estimator.grouping = Grouping::root;
         m.estimator.branches = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0};
       },
       "grouping: root"},
      {"branch-grpo", [](Method& m) { m.estimator.tree.sde_steps = {9}; },
       "sde_steps"},
      {"branch-grpo", [](Method& m) { m.estimator.tree.slide_every = 2; },
       "nothing slides"},
      {"branch-grpo",
       [](Method& m) {
         m.estimator.tree.skip_steps = {4};
         m.estimator.tree.slide_every = 2;
         m.estimator.tree.slide_stop = 5;
       },
       "slide_stop"},
      {"ddpo", [](Method& m) { m.estimator.grouping = Grouping::batch; },
       "grouping: prompt"},
      {"flow-grpo", [](Method& m) { m.regularisation.anchor_share = 1; },
       "anchor_share"},
      {"flow-grpo", [](Method& m) { m.regularisation.pull_rows = false; },
       "pull_rows"},
      {"branch-grpo",
       [](Method& m) {
         m.regularisation.anchors = true;
         m.regularisation.beta = 0.01;
       },
       "anchors: false"},
      {"rsm-diffusion", [](Method& m) { m.estimator.branches.assign(9, 2); },
       "pull_rows: true"},
      {"vgg-flow", [](Method& m) { m.regularisation.beta = 2; }, "beta: 1"},
      {"vgg-flow",
       [](Method& m) { m.strength.shape = StrengthKnobs::Shape::predicted; },
       "law: consistency"},
      {"residual-db",
       [](Method& m) { m.estimator.gradient.stochastic = false; },
       "law: balance"},
      {"residual-db",
       [](Method& m) {
         m.estimator.gradient.value.channels = {16, 31};
       },
       "value.channels"},
      {"residual-db",
       [](Method& m) { m.estimator.gradient.prompt_dropout = 0.1; },
       "prompt_dropout: 0"},
      {"sqdf",
       [](Method& m) {
         m.estimator.gradient.through = GradientKnobs::Through::linear;
       },
       "at: adjoint"},
      {"adjoint-matching",
       [](Method& m) {
         m.estimator.gradient.through = GradientKnobs::Through::predictor;
       },
       "at: network"},
      {"sqdf", [](Method& m) { m.estimator.gradient.particles = 2; },
       "jitter above 0"},
      {"sqdf", [](Method& m) { m.estimator.gradient.first_step = 10; },
       "first_step is 10 of 10"},
      {"sqdf", [](Method& m) { m.estimator.gradient.early_times = 2; },
       "of times = 1"},
      {"sqdf", [](Method& m) { m.estimator.gradient.replay_age = 16; },
       "raise replay"},
      {"dag-db",
       [](Method& m) {
         m.regularisation.importance = RegularisationKnobs::Importance::ratio;
       },
       "importance: none"},
      {"dag-kl", [](Method& m) { m.estimator.flow.channels.clear(); },
       "[8, 16]"},
      {"dag-kl",
       [](Method& m) {
         m.estimator.flow.channels = {8, 10};
       },
       "multiples of 4"},
      {"dag-kl",
       [](Method& m) {
         m.estimator.combine = EstimatorKnobs::Combine::advantages;
       },
       "combine: rewards"},
      {"rsm-flow",
       [](Method& m) { m.estimator.flow.use = FlowKnobs::Use::advantage; },
       "source: rollout"},
      {"dag-kl",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::picture;
       },
       "surrogate.at: none"},
      {"sqdf",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::network;
       },
       "surrogate.at: none"},
      {"branch-grpo",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::picture;
         m.estimator.tree.keep_leaves = 0.5;
       },
       "keep_leaves: 1"},
      {"branch-grpo",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::picture;
         m.as_published = true;
       },
       "as_published: false"},
      {"rsm-surrogate", [](Method& m) { m.estimator.surrogate.channels = {6}; },
       "multiples of 4"},
      {"rsm-forward",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::picture;
       },
       "surrogate.at: none"},
      {"rsm-forward",
       [](Method& m) {
         m.estimator.forward.pictures.coefficient =
             PictureKnobs::Coefficient::centred;
       },
       "share none"},
      {"rsm-forward",
       [](Method& m) {
         m.estimator.forward.shape = StrengthKnobs::Shape::sigma;
       },
       "forward.shape"},
      {"rsm-forward",
       [](Method& m) {
         m.estimator.forward.pictures.coefficient =
             PictureKnobs::Coefficient::linear;
       },
       "forward.coefficient: linear with distance: relative"},
      {"rsm-forward", [](Method& m) { m.estimator.forward.pictures.t_min = 1; },
       "forward.t_min is 1"},
      {"ram",
       [](Method& m) {
         m.estimator.pictures.distance = PictureKnobs::Distance::relative;
       },
       "pictures.coefficient: linear with distance: relative"},
      {"flow-grpo", [](Method& m) { m.estimator.forward.pictures.draws = 1; },
       "rows: 0"},
      {"crd", [](Method& m) { m.regularisation.beta = 0; },
       "reference_guidance: 0"},
      {"sqdf", [](Method& m) { m.regularisation.reference_guidance = 2; },
       "reference_guidance: 0"},
      {"flow-grpo", [](Method& m) { m.regularisation.least_pull = 0.5; },
       "least_pull: 1"},
      {"diffusion-nft",
       [](Method& m) { m.estimator.pictures.stratified = true; },
       "stratified: false"},
      {"awm", [](Method& m) { m.strength.shape = StrengthKnobs::Shape::sigma; },
       "strength.shape: sigma"},
      {"sft",
       [](Method& m) { m.strength.shape = StrengthKnobs::Shape::constant; },
       "strength.shape: constant"},
      {"awm",
       [](Method& m) {
         m.regularisation.kl_form = RegularisationKnobs::KlForm::exact;
       },
       "kl_form: output, or elbo"},
      {"v-grpo", [](Method& m) { m.estimator.pictures.clip = 0.1; }, "clip: 0"},
      {"mix-grpo", [](Method& m) { m.estimator.window.start = 9; },
       "window.start is 9"},
      {"dag-kl", [](Method& m) { m.estimator.window.size = 2; },
       "window.size: 0"},
      {"dense-grpo",
       [](Method& m) {
         m.estimator.source = EstimatorKnobs::Source::branches;
         m.estimator.branches.assign(9, 2);
       },
       "baseline: mean"},
      {"dense-grpo",
       [](Method& m) { m.estimator.window = {.size = 2, .continuation = 0.5}; },
       "continuation: 1"},
      {"dense-grpo",
       [](Method& m) {
         m.estimator.surrogate.at = SurrogateKnobs::At::picture;
       },
       "baseline: mean"},
      {"mix-grpo-flash", [](Method& m) { m.strength.scaled_residual = true; },
       "continuation: 1"},
      {"flow-dppo",
       [](Method& m) {
         m.regularisation.importance =
             RegularisationKnobs::Importance::quadratic;
       },
       "importance: ratio"},
      {"v-grpo",
       [](Method& m) {
         m.regularisation.clip_in = RegularisationKnobs::ClipIn::divergence;
       },
       "clip_in: log_ratio"}};
  for (const auto& wrong : cases) {
    Method method = find_method(wrong.method);
    wrong.change(method);
    EXPECT_THROW(check_method(method, 10), UsageError) << wrong.answer;
    expect_parts(error_of([&] { check_method(method, 10); }),
                 {wrong.answer, wrong.method});
  }
}

TEST(CheckMethod, OneBranchIsAllowedWherePromptsAreComparedOrNothingIs) {
  Method prompts = find_method("rsm-flow"), nothing = prompts;
  prompts.estimator.branches.assign(9, 1);
  prompts.estimator.grouping = EstimatorKnobs::Grouping::prompt;
  EXPECT_NO_THROW(check_method(prompts, 10));
  nothing.estimator.branches[2] = 1;
  nothing.estimator.baseline = EstimatorKnobs::Baseline::none;
  EXPECT_NO_THROW(check_method(nothing, 10));
}

TEST(CheckMethod, UnclippedMethodsNeedNoClipRange) {
  Method method = find_method("flow-grpo");
  method.regularisation.importance = RegularisationKnobs::Importance::none;
  method.regularisation.clip_range = 0;
  EXPECT_NO_THROW(check_method(method, 4));
  EXPECT_THROW(check_method(method, 1), UsageError);
}

}  // namespace
}  // namespace rsm
