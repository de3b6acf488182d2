#include "rsm/judges/clip_towers.h"

#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "rsm/io/testing.h"
#include "rsm/judges/testing.h"

namespace rsm {
namespace {

thread_local int64_t lookups = 0;

/** The text tower looks its words up once whenever it runs. */
std::unique_ptr<at::ObserverContext> count_lookup(
    const at::RecordFunction& call) {
  if (std::string_view(call.name()) == "aten::embedding") ++lookups;
  return nullptr;
}

/** How often the text tower runs while `action` does. */
template <typename Action>
int64_t encodings(const Action& action) {
  lookups = 0;
  const auto handle =
      at::addThreadLocalCallback(at::RecordFunctionCallback(count_lookup));
  action();
  at::removeCallback(handle);
  return lookups;
}

TEST(ClipTowers, EncodeEachTextOnce) {
  const TemporaryFolder folder;
  write_small_clip(folder.path());
  const ClipTowers towers("test", folder.path(), {});
  torch::Tensor features, again;
  const auto first = encodings([&] {
    features = towers.text_features({"a red circle", "two", "a red circle"});
  });
  EXPECT_EQ(first, 2);
  EXPECT_TRUE(features[0].equal(features[2]));
  EXPECT_FALSE(features[0].equal(features[1]));
  const auto later = encodings([&] {
    again = towers.text_features({"two", "a red circle"});
  });
  EXPECT_EQ(later, 0);
  EXPECT_TRUE(again[0].equal(features[1]));
  EXPECT_TRUE(again[1].equal(features[0]));
  EXPECT_EQ(encodings([&] { towers.text_features({"two", "blue"}); }), 1);
}

}  // namespace
}  // namespace rsm
