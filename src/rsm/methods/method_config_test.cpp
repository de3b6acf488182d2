#include "rsm/methods/method_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"

namespace rsm {
namespace {

Method parsed(const std::string& section,
              Method::Family family = Method::Family::flow) {
  const auto config = Config::parse("method:\n" + section, "own.yaml");
  const auto method =
      read_method(config.section("method"), kCatalogueSteps, family);
  config.done();
  return method;
}

/** The families an entry is for, each with the entry as it is there. */
std::vector<std::pair<Method::Family, Method>> homes(const Method& entry) {
  using Family = Method::Family;
  std::vector<std::pair<Family, Method>> out;
  for (const auto family : {Family::flow, Family::diffusion}) {
    if (entry.family == Family::both || entry.family == family) {
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
    if (entry.family != Method::Family::diffusion) continue;
    expect_parts(error_of([&] { parsed("  name: " + entry.name + "\n"); }),
                 {"method.name", entry.name, "diffusion", "flow"});
  }
}

TEST(ReadMethod, AsPublishedTakesTheChoicesOfTheRelease) {
  const auto corrected =
      parsed("  name: pcpo-uw-sigma\n", Method::Family::diffusion);
  const auto published = parsed("  name: pcpo-uw-sigma\n  as_published: true\n",
                                Method::Family::diffusion);
  EXPECT_EQ(corrected.strength.shape, StrengthKnobs::Shape::constant);
  EXPECT_EQ(published.strength.shape, StrengthKnobs::Shape::even);
  EXPECT_TRUE(published.as_published);
}

TEST(ReadMethod, AMethodOfOnesOwnHasItsNameAndTheRestOfAnEntry) {
  for (const auto& entry : catalogue()) {
    for (const auto& [family, home] : homes(entry)) {
      const auto own = parsed("  name: mine\n  from: " + entry.name +
                                  "\n  strength: {scale: 2.5}\n",
                              family);
      EXPECT_EQ(own.name, "mine");
      EXPECT_NE(own.source, entry.source);
      EXPECT_EQ(own.strength.scale, 2.5);
      auto expected = to_json(home);
      expected["strength"]["scale"] = 2.5;
      for (const char* knobs : {"estimator", "strength", "regularisation"}) {
        EXPECT_EQ(to_json(own)[knobs], expected[knobs]) << knobs;
      }
    }
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
}

}  // namespace
}  // namespace rsm
