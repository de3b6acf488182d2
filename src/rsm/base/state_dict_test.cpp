#include "rsm/base/state_dict.h"

#include <gtest/gtest.h>

namespace rsm {
namespace {

TEST(Prefixes, AreInverse) {
  const StateDict part = {{"x", at::ones({1})}, {"y.z", at::zeros({1})}};
  StateDict all = {{"b.x", at::zeros({2})}};
  add_with_prefix(all, "a.", part);
  EXPECT_EQ(all.size(), 3u);
  const auto back = with_prefix(all, "a.");
  EXPECT_EQ(back.size(), 2u);
  EXPECT_TRUE(at::equal(back.at("y.z"), part.at("y.z")));
}

}  // namespace
}  // namespace rsm
