#include "rsm/methods/method_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

Method parsed(const std::string& section,
              std::optional<Family> family = Family::flow) {
  const auto config = Config::parse("method:\n" + section, "own.yaml");
  const auto method = read_method(config, kCatalogueSteps, family);
  config.done();
  return method;
}

/** The families an entry is for, each with the entry as it is there. */
std::vector<std::pair<Family, Method>> homes(const Method& entry) {
  std::vector<std::pair<Family, Method>> out;
  for (const auto family : {Family::flow, Family::diffusion}) {
    if (entry.is_for(family)) {
      out.emplace_back(family, for_family(entry, family));
    }
  }
  return out;
}

TEST(ReadMethod, EveryEntryComesBackByItsName) {
  for (const auto& entry : catalogue()) {
    for (const auto& [family, expected] : homes(entry)) {
      EXPECT_EQ(to_json(parsed("  name: " + entry.name + "\n", family)),
                to_json(expected));
    }
  }
}

TEST(ReadMethod, AMethodOfTheOtherFamilyIsRefusedByItsName) {
  for (const auto& entry : catalogue()) {
    if (entry.is_for(Family::flow)) continue;
    expect_parts(error_of([&] { parsed("  name: " + entry.name + "\n"); }),
                 {"method.name", entry.name, "diffusion", "flow"});
  }
}

TEST(ReadMethod, AsPublishedTakesTheChoicesOfTheRelease) {
  const auto corrected = parsed("  name: pcpo-uw-sigma\n", Family::diffusion);
  const auto published = parsed("  name: pcpo-uw-sigma\n  as_published: true\n",
                                Family::diffusion);
  EXPECT_EQ(corrected.strength.shape, StrengthKnobs::Shape::constant);
  EXPECT_EQ(published.strength.shape, StrengthKnobs::Shape::uniform);
  EXPECT_TRUE(published.as_published);
}

TEST(ReadMethod, AMaskIsTheEntrysUnlessTheConfigSaysAnother) {
  using Mask = RegularisationKnobs::Mask;
  const auto mask = [](const std::string& more) {
    return parsed("  name: flow-grpo\n" + more).regularisation.mask;
  };
  EXPECT_EQ(mask(""), Mask::policy);
  EXPECT_EQ(mask("  as_published: true\n"), Mask::rows);
  EXPECT_EQ(mask("  as_published: true\n  regularisation: {mask: none}\n"),
            Mask::none);
}

TEST(ReadMethod, ASamplerThatIsNotTheEntrysIsSaid) {
  int64_t said = 0;
  for (const auto& entry : catalogue()) {
    for (const auto& [family, home] : homes(entry)) {
      std::vector<std::string> warnings;
      const auto config =
          Config::parse("method: {name: " + entry.name + "}", "own.yaml");
      read_method(config, kCatalogueSteps, family, &warnings);
      if (home.estimator.noise == entry.estimator.noise) {
        EXPECT_TRUE(warnings.empty()) << entry.name;
        continue;
      }
      ++said;
      ASSERT_EQ(warnings.size(), 1u) << entry.name;
      expect_parts(warnings[0],
                   {entry.name, to_string(entry.estimator.noise),
                    to_string(family), to_string(home.estimator.noise)});
    }
  }
  EXPECT_GT(said, 0);
}

TEST(ReadMethod, AMistakeHidesNoOthersAndMakesNone) {
  const auto error = [](const std::string& text) {
    return error_of([&] { parsed(text); });
  };
  // Which keys an estimator has is known once its source is.
  const std::string tree =
      "  estimator:\n    tree: {children: 3}\n    spread_offset: -1\n";
  const auto unknown = error("  name: branch-grpoo\n" + tree);
  expect_parts(unknown, {"2 problems", "branch-grpoo", "spread_offset"});
  const auto source = error(tree + "    source: treee\n");
  expect_parts(source, {"2 problems", "treee", "spread_offset"});
  // Nor is an entry refused for a family that is not known.
  for (const auto& entry : catalogue()) {
    parsed("  name: " + entry.name + "\n", std::nullopt);
  }
}

TEST(ReadMethod, MistakesAreNamed) {
  expect_parts(error_of([] { parsed("  name: mine\n"); }),
               {"own.yaml:2", "method.name", "mine"});
  expect_parts(error_of([] { parsed("  name: mine\n  from: his\n"); }),
               {"own.yaml:3", "method.from", "his"});
  expect_parts(
      error_of([] { parsed("  from: " + catalogue()[0].name + "\n"); }),
      {"method.name"});
  for (const std::string source : {"rollout", "tree"}) {
    expect_parts(
        error_of([&] {
          parsed("  estimator: {source: " + source + ", branches: [6]}\n");
        }),
        {"own.yaml:2: method.estimator.branches", source});
  }
}

TEST(ReadMethod, BranchesMayBeChosenByMeasurement) {
  const std::string own = "  name: tempflow-grpo\n  estimator: ";
  const auto usual = parsed(own + "{profile: five}\n");
  const auto chosen = parsed(own + "{profile: five, branches: auto}\n");
  EXPECT_FALSE(usual.estimator.budget.is_on());
  EXPECT_EQ(chosen.estimator.budget.every, 10);
  EXPECT_EQ(chosen.estimator.branches, usual.estimator.branches);
  const auto listed = parsed(
      own + "{branches: [4, 2, 0, 0, 0, 0, 0, 0, 0], budget: {every: 3}}\n");
  EXPECT_EQ(listed.estimator.budget.every, 3);
  EXPECT_EQ(listed.estimator.branches[1], 2);
  expect_parts(
      error_of([&] { parsed(own + "{branches: auto, budget: {every: 0}}\n"); }),
      {"method.estimator.branches", "budget.every: 0"});
  expect_parts(error_of([&] { parsed(own + "{branches: some}\n"); }),
               {"method.estimator.branches"});
}

}  // namespace
}  // namespace rsm
