#include "rsm/methods/method_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"

namespace rsm {
namespace {

Method parsed(const std::string& section) {
  const auto config = Config::parse("method:\n" + section, "own.yaml");
  const auto method = read_method(config.section("method"));
  config.done();
  return method;
}

TEST(ReadMethod, EveryEntryComesBackByItsName) {
  for (const auto& entry : catalogue()) {
    EXPECT_EQ(to_json(parsed("  name: " + entry.name + "\n")), to_json(entry));
  }
}

TEST(ReadMethod, AMethodOfOnesOwnHasItsNameAndTheRestOfAnEntry) {
  for (const auto& entry : catalogue()) {
    const auto own = parsed("  name: mine\n  from: " + entry.name +
                            "\n  strength: {scale: 2.5}\n");
    EXPECT_EQ(own.name, "mine");
    EXPECT_NE(own.source, entry.source);
    EXPECT_EQ(own.strength.scale, 2.5);
    auto expected = to_json(entry);
    expected["strength"]["scale"] = 2.5;
    for (const char* knobs : {"estimator", "strength", "regularisation"}) {
      EXPECT_EQ(to_json(own)[knobs], expected[knobs]) << knobs;
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
