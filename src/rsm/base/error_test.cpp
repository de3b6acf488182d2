#include "rsm/base/error.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(NearestWord, PassesOverCaseAndKindsOfHyphen) {
  EXPECT_EQ(nearest_word("FLOW_GRPO", {"ddpo", "flow-grpo"}), "flow-grpo");
  EXPECT_EQ(nearest_word(std::string(100000, 'x'), {"x"}), "");
}

TEST(NearestWord, FindsSlipsButNotStrangers) {
  const std::vector<std::string> known = {"seed", "steps", "guidance_scale"};
  EXPECT_EQ(nearest_word("step", known), "steps");
  EXPECT_EQ(nearest_word("sede", known), "seed");
  EXPECT_EQ(nearest_word("guidence_scale", known), "guidance_scale");
  EXPECT_EQ(nearest_word("zebra", known), "");
  EXPECT_EQ(nearest_word("b", {"a"}), "");
}

TEST(UnknownWord, NamesAllAndTheNearest) {
  EXPECT_EQ(unknown_word("sed", {"seed", "out"}),
            "unknown \"sed\"; known: seed, out (did you mean \"seed\"?)");
  EXPECT_EQ(unknown_word("zebra", {"seed"}), "unknown \"zebra\"; known: seed");
}

TEST(Check, ThrowsTheJoinedText) {
  EXPECT_EQ(error_of([] { RSM_CHECK(1 > 2, "[who] ", 3, " arrived"); }),
            "[who] 3 arrived");
}

}  // namespace
}  // namespace rsm
