#include "rsm/runs/memory_plan.h"

#include <gtest/gtest.h>

#include <sstream>
#include <tuple>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/changed_keys.h"
#include "rsm/runs/memory_forecast.h"

namespace rsm {
namespace {

constexpr double kMiB = 1 << 20;

RunOptions options_of(const std::vector<std::string>& overrides) {
  return read_run_options(
      Config::parse("name: a\nmodel: models/shapes-flow\ncompute: {threads: 2}",
                    "test.yaml", overrides));
}

RunOptions within(double mib, std::vector<std::string> overrides = {}) {
  overrides.push_back(cat("compute.memory=", mib, "MiB"));
  return options_of(overrides);
}

std::string error_within(double mib,
                         const std::vector<std::string>& more = {}) {
  return error_of([&] { within(mib, more); });
}

/** What a run needs at least, as the error says. */
double least_mib() {
  const auto error = error_within(1);
  const std::string before = "at least ";
  return std::stod(error.substr(error.find(before) + before.size()));
}

/** Of a choice, the faster the smaller. */
std::tuple<bool, int64_t, int64_t> slowness(const RunOptions& o) {
  return {o.activation_checkpointing, -o.train_tiles.tile,
          -o.rollout_tiles.tile};
}

/** Without the keys that are chosen. */
std::string other_keys(const RunOptions& o) {
  std::istringstream lines(o.resolved);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    bool chosen = false;
    for (const char* key :
         {" memory:", "_tile:", " activation_checkpointing:"}) {
      chosen = chosen || line.find(key) != std::string::npos;
    }
    if (!chosen) out += line + "\n";
  }
  return out;
}

TEST(MemoryPlan, ReadsSizes) {
  EXPECT_EQ(memory_size("24GB"), 24e9);
  EXPECT_EQ(memory_size("22GiB"), 22 * 1024 * kMiB);
  EXPECT_EQ(memory_size("1.5 TiB"), 1.5 * 1024 * 1024 * kMiB);
  EXPECT_EQ(memory_size("700MB"), 7e8);
  for (const std::string wrong :
       {"", "24", "GB", "24gb", "-1GB", "0GB", "1.2.3GB", "24 GB too"}) {
    EXPECT_THROW(memory_size(wrong), UsageError) << wrong;
  }
  expect_parts(error_of([] { options_of({"compute.memory=24"}); }),
               {"compute.memory", "\"24\"", "24GB"});
}

TEST(MemoryPlan, WithoutATargetOrWithRoomTheDefaultsStay) {
  const auto plain = options_of({});
  EXPECT_TRUE(plain.memory_choice.empty());
  const auto roomy = within(1 << 20);
  EXPECT_EQ(slowness(roomy), slowness(plain));
  expect_parts(roomy.memory_choice,
               {"compute.memory 1048576MiB", "rollout_tile 16", "train_tile 16",
                "activation_checkpointing false"});
  expect_parts(roomy.resolved, {"memory: 1048576MiB", "train_tile: 16"});
}

TEST(MemoryPlan, LessRoomIsSlowerAndChangesNothingElse) {
  const double least = least_mib();
  auto last = slowness(options_of({}));
  const auto all = other_keys(options_of({}));
  for (double mib = 1.5 * least; mib > least + 0.1; mib -= least / 100) {
    const auto options = within(mib);
    EXPECT_GE(slowness(options), last) << mib;
    last = slowness(options);
    EXPECT_EQ(other_keys(options), all);
    EXPECT_LE(MemoryCount(options).of(options).peak(), 0.85 * mib * kMiB);
  }
  EXPECT_EQ(last, std::make_tuple(true, int64_t{-1}, int64_t{-1}));
  EXPECT_EQ(slowness(within(least + 0.1)), last);
}

TEST(MemoryPlan, NothingThatFitsIsToldWithWhatIsNeeded) {
  const double least = least_mib();
  const auto error = error_within(least - 0.1);
  expect_parts(error, {"compute.memory", "too little", "train_tile 1",
                       "activation_checkpointing true", "at least",
                       "lower it by", "compute."});
  EXPECT_THROW(within(least - 0.1), UsageError);
}

TEST(MemoryPlan, KeepsWhatIsSet) {
  const auto options = within(
      least_mib() + 20,
      {"compute.train_tile=7", "compute.activation_checkpointing=false"});
  EXPECT_EQ(options.train_tiles.tile, 7);
  EXPECT_FALSE(options.activation_checkpointing);
  // All of it: nothing is left to choose, as where a resolved config is read.
  const auto resolved = within(least_mib() + 20).resolved;
  const auto again = read_run_options(Config::parse(resolved, "config.yaml"));
  EXPECT_EQ(again.resolved, resolved);
  EXPECT_TRUE(again.memory_choice.empty());
}

TEST(MemoryPlan, ARunGoesOnWithWhatItBeganWith) {
  const TemporaryFolder folder;
  const std::string here = "folder=" + folder.path();
  const double mib = 1.1 * least_mib();
  const auto began = within(mib, {here});
  write_file_atomic(folder / "config.yaml", began.resolved);
  // More threads would not fit, or only in smaller tiles.
  const auto goes_on = within(mib, {here, "compute.threads=16"});
  EXPECT_EQ(slowness(goes_on), slowness(began));
  EXPECT_TRUE(changed_keys(began.resolved, goes_on.resolved).empty());
  expect_parts(goes_on.memory_choice, {"as this run began"});
  // Another target is another choice, and another run where a tile changes.
  const auto other = within(1 << 20, {here});
  const auto changed = changed_keys(began.resolved, other.resolved);
  ASSERT_FALSE(changed.empty());
  expect_parts(join(changed), {"train_tile"});
}

TEST(MemoryPlan, OfAGpuCountsTheDeviceAlone) {
  const auto on = [](const std::string& device) {
    const auto options =
        options_of({"compute.threads=1", "compute.device=" + device});
    return MemoryCount(options).of(options);
  };
  const auto host = on("cpu"), device = on("cuda");
  EXPECT_LT(device.peak(), host.peak());
  for (const auto& station : device.stations) {
    EXPECT_NE(station.name, "a checkpoint");
  }
}

}  // namespace
}  // namespace rsm
