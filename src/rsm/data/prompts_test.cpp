#include "rsm/data/prompts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

TEST(Prompts, ShapesByName) {
  EXPECT_EQ(load_prompts("shapes:all").size(), shapes::all_specs().size());
  EXPECT_EQ(load_prompts("shapes:train").size() +
                load_prompts("shapes:held_out").size(),
            shapes::all_specs().size());
  const Prompt prompt = load_prompts("shapes:held_out").back();
  EXPECT_EQ(shapes::caption(shapes::all_specs()[prompt.id]), prompt.text);
  EXPECT_EQ(prompt.category, "color_attr");
}

TEST(Prompts, NothingToLoadIsAnError) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "empty.txt", "\n  \n");
  expect_parts(error_of([&] { load_prompts(folder / "empty.txt"); }),
               {"empty.txt", "no prompt"});
  expect_parts(error_of([&] { load_prompts(folder / "missing.txt"); }),
               {"missing.txt", "shapes:train"});
  expect_parts(error_of([&] { load_prompts(folder.path()); }), {"no file"});
  expect_parts(error_of([] { load_prompts("shapes:trian"); }),
               {"shapes:trian", "did you mean \"shapes:train\""});
  EXPECT_THROW(load_prompts("shapes:trian"), UsageError);
}

Prompts numbered(int64_t count, const std::string& category = "") {
  Prompts prompts;
  for (int64_t i = 0; i < count; ++i) {
    prompts.push_back({i, std::to_string(i), category});
  }
  return prompts;
}

TEST(EpochPrompts, GiveEveryCategoryItsTurn) {
  Prompts prompts = numbered(3, "small");
  for (auto prompt : numbered(60, "large")) {
    prompt.id += 3;
    prompts.push_back(prompt);
  }
  const auto chosen = epoch_prompts(1, 0, prompts, 20);
  std::vector<int64_t> times(3, 0);
  for (const int64_t i : chosen) {
    if (i < 3) {
      ++times[i];
    }
  }
  EXPECT_EQ(times[0] + times[1] + times[2], 10);
  for (const int64_t count : times) {
    EXPECT_GE(count, 3);
  }
}

TEST(EpochPrompts, EveryPromptOncePerPass) {
  const auto chosen = epoch_prompts(1, 0, numbered(10), 25);
  ASSERT_EQ(chosen.size(), 25u);
  for (int pass = 0; pass < 2; ++pass) {
    std::vector<int64_t> part(chosen.begin() + 10 * pass,
                              chosen.begin() + 10 * (pass + 1));
    std::sort(part.begin(), part.end());
    for (int64_t i = 0; i < 10; ++i) {
      EXPECT_EQ(part[i], i);
    }
  }
  std::vector<int64_t> rest(chosen.begin() + 20, chosen.end());
  std::sort(rest.begin(), rest.end());
  EXPECT_EQ(std::adjacent_find(rest.begin(), rest.end()), rest.end());
}

TEST(EpochPrompts, DependOnSeedAndEpochNotOnCount) {
  const auto chosen = epoch_prompts(1, 3, numbered(100), 250);
  const auto fewer = epoch_prompts(1, 3, numbered(100), 120);
  EXPECT_TRUE(std::equal(fewer.begin(), fewer.end(), chosen.begin()));
  EXPECT_NE(epoch_prompts(1, 4, numbered(100), 250), chosen);
  EXPECT_NE(epoch_prompts(2, 3, numbered(100), 250), chosen);
  const std::vector<int64_t> second(chosen.begin() + 100, chosen.begin() + 200);
  EXPECT_NE(epoch_prompts(1, 3, numbered(100), 100), second);
  EXPECT_TRUE(epoch_prompts(1, 0, numbered(1), 0).empty());
}

TEST(EpochPrompts, RefuseImpossibleNumbers) {
  EXPECT_THROW(epoch_prompts(1, 0, {}, 1), Error);
  EXPECT_THROW(epoch_prompts(1, -1, numbered(4), 1), Error);
  EXPECT_THROW(epoch_prompts(1, 0, numbered(4), -1), Error);
}

}  // namespace
}  // namespace rsm
