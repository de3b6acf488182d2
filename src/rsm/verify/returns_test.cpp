// What `rsm verify --return` tries.

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/verify/verification.h"

namespace rsm::verify {
namespace {

using Return = EstimatorKnobs::Return;

const Budget kSmall = {.epochs = 2, .pictures = 32, .points = 64, .threads = 1};

TEST(Returns, AreTriedOneAfterTheOther) {
  NoProgress silent;
  const auto report = verify({"flow-grpo"}, /*alpha=*/1, kSmall, silent,
                             {Return::hard, Return::soft});
  ASSERT_EQ(report.methods.size(), 2U);
  EXPECT_EQ(report.methods[0].method, "flow-grpo");
  EXPECT_EQ(report.methods[1].method, "flow-grpo soft");
  for (const auto& method : report.methods) {
    ASSERT_FALSE(method.results.empty());
    for (const auto& result : method.results) {
      EXPECT_EQ(result.failure, "") << method.method << " " << result.problem;
    }
  }
  const auto says_hard = [](const Verification& of) {
    for (const auto& bias : of.known_biases) {
      if (bias.find("returns are hard") != std::string::npos) return true;
    }
    return false;
  };
  EXPECT_TRUE(says_hard(report.methods[0]));
  EXPECT_FALSE(says_hard(report.methods[1]));
}

TEST(Returns, NamedMethodsThatHaveNoneAreRefused) {
  NoProgress silent;
  expect_parts(error_of([&] {
                 verify({"adjoint-matching"}, 1, kSmall, silent,
                        {Return::soft});
               }),
               {"return: soft", "through: reference"});
}

}  // namespace
}  // namespace rsm::verify
