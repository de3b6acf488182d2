#include "rsm/verify/report.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm::verify {
namespace {

Report small_report(const AfterEach& after_each = {}) {
  NoProgress silent;
  return verify({"ram", "draft-k"}, 1,
                {.epochs = 1, .pictures = 8, .points = 64}, silent,
                {EstimatorKnobs::Return::hard}, after_each);
}

TEST(VerifyReport, TellsEachMethodAsItComes) {
  std::vector<std::string> lines;
  small_report([&](const Report& so_far, const Verification& latest) {
    lines.push_back(line_of(latest));
    EXPECT_EQ(so_far.methods.size(), lines.size());
  });
  ASSERT_EQ(lines.size(), 2U);
  std::sort(lines.rbegin(), lines.rend());
  expect_parts(lines[0], {"ram: ", "; gauss-linear ", "; modes-step "});
  expect_parts(lines[1], {"draft-k: ", "; modes-quadratic "});
}

TEST(VerifyReport, TellsMethodsProblemsAndWhatIsKnown) {
  const auto report = small_report();
  expect_parts(text_of(report),
               {"ram", "draft-k +KL", "gauss-linear", "modes-step (flow)",
                "verdict", "only last steps are trained"});
}

TEST(VerifyReport, WritesItsNumbersAndPlots) {
  const TemporaryFolder folder;
  const auto report = small_report();
  const auto written = write_report(report, folder / "out");
  // A black box is nothing for a gradient.
  EXPECT_EQ(written.size(), 1 + 4 + 3);
  const auto found = read_json(folder / "out/verify.json");
  ASSERT_EQ(found["methods"].size(), 2);
  EXPECT_EQ(found["methods"][0]["name"], "ram");
  EXPECT_EQ(found["methods"][1]["given_pull"], true);
  const auto& own = found["methods"][0]["results"][0];
  EXPECT_EQ(own["problem"], "gauss-linear");
  EXPECT_DOUBLE_EQ(own["distance"].get<double>(),
                   report.methods[0].results[0].fit.distance);
  EXPECT_NEAR(found["problems"]["flow"][0]["answer"]["reward"].get<double>(), 1,
              1e-6);
  const auto plot = read_file(folder / "out/ram-gauss-linear.svg");
  expect_parts(plot, {"<svg xmlns", "exact answer", "before", "ram"});
}

}  // namespace
}  // namespace rsm::verify
