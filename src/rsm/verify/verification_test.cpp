#include "rsm/verify/verification.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"
#include "rsm/verify/report.h"

namespace rsm::verify {
namespace {

Result with_gap(double gap, bool at_floor = false) {
  Result out;
  out.gap = gap;
  out.at_floor = at_floor;
  return out;
}

TEST(Verdict, IsOfTheWorstProblem) {
  using Verdict = Verification::Verdict;
  EXPECT_EQ(verdict_of({with_gap(0.09), with_gap(0.4, true)}), Verdict::exact);
  EXPECT_EQ(verdict_of({with_gap(0.09), with_gap(0.2)}), Verdict::biased);
  EXPECT_EQ(verdict_of({with_gap(0.2), with_gap(0.8)}), Verdict::failed);
  Result none;
  none.failure = "diverged";
  EXPECT_EQ(verdict_of({with_gap(0), none}), Verdict::failed);
  EXPECT_EQ(verdict_of({}), Verdict::failed);
}

/** Who is trained beside a method, and on how many cores, changes nothing. */
TEST(Verification, MeasuresAMethodAlikeInAnyCompany) {
  const auto measure = [](const std::vector<std::string>& names,
                          int64_t threads) {
    NoProgress silent;
    auto report =
        verify(names, /*alpha=*/1,
               {.epochs = 2, .pictures = 32, .points = 64, .threads = threads},
               silent);
    return report.methods;
  };
  const auto together = measure({"ram", "flow-grpo", "draft-k"}, 3);
  ASSERT_EQ(together.size(), 3U);
  EXPECT_EQ(together[2].method, "draft-k");
  const auto alone = measure({"flow-grpo"}, 1);
  ASSERT_EQ(alone[0].results.size(), together[1].results.size());
  for (size_t i = 0; i < alone[0].results.size(); ++i) {
    const auto& one = alone[0].results[i];
    const auto& other = together[1].results[i];
    EXPECT_EQ(one.failure, "");
    EXPECT_EQ(one.problem, other.problem);
    EXPECT_TRUE(one.fit.points.equal(other.fit.points)) << one.problem;
  }
}

}  // namespace
}  // namespace rsm::verify
