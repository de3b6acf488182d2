#include "rsm/methods/catalogue.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "rsm/base/error.h"
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
    EXPECT_EQ(&find_method(method.name), &method);
  }
}

TEST(Catalogue, UnknownNamesAreAnsweredWithKnownOnes) {
  try {
    find_method("rsm-flaw");
    FAIL() << "expected an error";
  } catch (const UsageError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("tempflow-grpo"), std::string::npos) << text;
    EXPECT_NE(text.find("did you mean \"rsm-flow\""), std::string::npos)
        << text;
  }
  EXPECT_THROW(branch_profile("lowsnr3"), UsageError);
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
  ASSERT_EQ(branch_profiles().size(), budgets.size());
  for (const auto& budget : budgets) {
    EstimatorKnobs knobs;
    knobs.branches = branch_profile(budget.name);
    ASSERT_EQ(knobs.branches.size(), 10u) << budget.name;
    EXPECT_EQ(mean_rows(knobs, 10), budget.mean) << budget.name;
    int64_t rows = 0;
    int64_t active = 0;
    for (int64_t i = 0; i < 9; ++i) {
      const int64_t k = rows_at(knobs, i, 10);
      rows += k;
      active += k > 0;
      // Six digits.
      EXPECT_NEAR(k > 0 ? budget.mean / static_cast<double>(k) : 0,
                  budget.kappa[i], 5e-7)
          << budget.name << " " << i;
    }
    EXPECT_EQ(rows, budget.rows) << budget.name;
    EXPECT_EQ(active, budget.active) << budget.name;
  }
}

struct Contradiction {
  std::string method;
  std::function<void(Method&)> change;
  std::string answer;  ///< part of the message
};

TEST(CheckMethod, SaysWhatWouldAddUp) {
  using Source = EstimatorKnobs::Source;
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
      {"rsm-flow", [](Method& m) { m.estimator.branches[2] = -1; },
       "0 or more"},
      {"rsm-flow", [](Method& m) { m.estimator.branches.assign(10, 0); },
       "at least one"},
      {"rsm-flow", [](Method& m) { m.estimator.branches[2] = 1; },
       "grouping: prompt"},
      {"rsm-flow", [](Method& m) { m.estimator.source = Source::rollout; },
       "remove the list"},
      {"flow-grpo", [](Method& m) { m.estimator.grouping = Grouping::seed; },
       "grouping: prompt"},
      {"flow-grpo", [](Method& m) { m.regularisation.anchors = true; },
       "anchors: false"},
      {"rsm-flow", [](Method& m) { m.regularisation.beta = 0; },
       "anchors: false"},
      {"flow-grpo", [](Method& m) { m.regularisation.beta = -1; }, "0 or more"},
      {"flow-grpo", [](Method& m) { m.regularisation.clip_range = 0; },
       "clip_range"},
      {"flow-grpo", [](Method& m) { m.regularisation.advantage_clip = 0; },
       "advantage_clip"},
      {"flow-grpo", [](Method& m) { m.strength.scale = 0; }, "strength.scale"}};
  for (const auto& wrong : cases) {
    Method method = find_method(wrong.method);
    wrong.change(method);
    try {
      check_method(method, 10);
      ADD_FAILURE() << "accepted what should ask for " << wrong.answer;
    } catch (const UsageError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(wrong.answer), std::string::npos) << text;
      EXPECT_NE(text.find(wrong.method), std::string::npos) << text;
    }
  }
}

TEST(CheckMethod, OneBranchIsAllowedWherePromptsAreCompared) {
  Method method = find_method("rsm-flow");
  method.estimator.branches.assign(9, 1);
  method.estimator.grouping = EstimatorKnobs::Grouping::prompt;
  EXPECT_NO_THROW(check_method(method, 10));
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
