#include "rsm/methods/describe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/methods/catalogue.h"
#include "rsm/objective/strength.h"

namespace rsm {
namespace {

TEST(Describe, DocsHoldTheKnobsAndTheCatalogueOfToday) {
  const std::string docs = read_file(RSM_SOURCE_DIR "/docs/methods.md");
  for (const auto& table : docs_tables()) {
    EXPECT_NE(docs.find(table), std::string::npos)
        << "put what `rsm methods --markdown` prints in place of:\n"
        << table;
  }
}

/** Spec of arXiv 2604.17415 for its GenEval redesign: C1 = beta Omega^2 / (2
 * s^2), gamma = s / dt, C2 = g Omega^2 / (2 s^2), clip s^2 |log rho| <= 1e-4.
 */
TEST(Describe, GivesThePapersFactorsByTime) {
  const auto method = find_method("rsm-flow");
  const auto about = described(method);
  const auto steps = shown_steps(method);
  ASSERT_EQ(about.at("by_time").size(), 9u);
  // Formulas in double.
  constexpr double kRounding = 1e-12;
  for (size_t i = 1; i < 9; ++i) {
    const auto& row = about.at("by_time")[i];
    const auto& step = steps[i];
    const double omega = step.omega();
    const double over = omega * omega / (2 * step.s * step.s);
    const double g = step.s / step.dt();
    const auto near = [&](const char* key, double expected) {
      EXPECT_NEAR(row.at(key).get<double>(), expected, kRounding * expected)
          << key << " " << i;
    };
    near("C1", 0.004 * over);
    if (i < 4) {
      near("gamma", g);
      near("C2", g * over);
      near("clip_log_ratio", 1e-4 / (step.s * step.s));
    } else {  // an anchor
      EXPECT_EQ(row.at("gamma"), 0);
      EXPECT_EQ(row.at("C2"), 0);
      EXPECT_TRUE(row.at("clip_log_ratio").is_null());
    }
  }
  // At t = 1 a score says nothing of the output.
  EXPECT_TRUE(about.at("by_time")[0].at("C1").is_null());
}

TEST(Describe, NothingIsPulledWhereTheMethodPullsNothing) {
  const auto pulled = [](const std::string& name) {
    std::string out;
    const auto about = described(find_method(name));
    for (const auto& row : about.at("by_time")) {
      out += row.at("C1") == 0 ? '.' : 'x';
    }
    return out;
  };
  EXPECT_EQ(pulled("rsm-diffusion"), ".x.x.x.x.");  // anchors only
  EXPECT_EQ(pulled("dance-grpo"), ".........");     // beta 0
  EXPECT_EQ(pulled("tempflow-grpo"), "xxxxxxxxx");
}

TEST(Describe, EveryEntryHasNumbersAtEveryTime) {
  for (const auto& method : catalogue()) {
    const auto about = described(method);
    double sum = 0;
    for (const auto& row : about.at("by_time")) {
      EXPECT_TRUE(std::isfinite(row.at("g").get<double>())) << method.name;
      sum += row.at("h").get<double>();
    }
    EXPECT_NEAR(sum, 1, 1e-12) << method.name;
  }
}

TEST(Sparkline, FillsTheLargestBar) {
  EXPECT_EQ(sparkline({0, 1, 0.5}), " █▅");
  EXPECT_EQ(sparkline({0, 0}), "  ");
}

}  // namespace
}  // namespace rsm
