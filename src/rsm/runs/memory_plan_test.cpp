#include "rsm/runs/memory_plan.h"

#include <gtest/gtest.h>

#include <sstream>
#include <tuple>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/runs/changed_keys.h"
#include "rsm/runs/memory_forecast.h"
#include "rsm/runs/testing.h"

namespace rsm {
namespace {

constexpr double kMiB = 1 << 20;

const std::vector<std::string> kCpu = {"compute.threads=2"};
/** There is none: what is counted of it is the networks' alone. */
const std::vector<std::string> kGpu = {"compute.device=cuda"};
constexpr double kOfDevice = 600;  // MiB, beside what is counted

RunOptions options_on(std::vector<std::string> overrides,
                      const std::vector<std::string>& device = kCpu) {
  overrides.insert(overrides.end(), device.begin(), device.end());
  return options_of(overrides);
}

RunOptions within(double mib, const std::vector<std::string>& device = kCpu,
                  std::vector<std::string> overrides = {}) {
  overrides.push_back("compute.memory=" + std::to_string(mib) + "MiB");
  return options_on(overrides, device);
}

/** What a run needs at least, as the error says. */
double least_mib(const std::vector<std::string>& device = kCpu) {
  const auto error = error_of([&] { within(1, device); });
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
  expect_parts(error_of([] { options_on({"compute.memory=24"}); }),
               {"compute.memory", "\"24\"", "24GB"});
}

TEST(MemoryPlan, WithoutATargetOrWithRoomTheDefaultsStay) {
  const auto plain = options_on({});
  EXPECT_TRUE(plain.memory_choice.empty());
  const auto roomy = options_on({"compute.memory=1TB"});
  EXPECT_EQ(slowness(roomy), slowness(plain));
  expect_parts(roomy.memory_choice,
               {"compute.memory 1TB", "rollout_tile 16", "train_tile 16",
                "activation_checkpointing false"});
  expect_parts(roomy.resolved, {"memory: 1TB", "train_tile: 16"});
}

TEST(MemoryPlan, LessRoomIsSlowerAndChangesNothingElse) {
  const double least = least_mib(kGpu);
  auto last = slowness(options_on({}, kGpu));
  const auto all = other_keys(options_on({}, kGpu));
  EXPECT_EQ(slowness(within(least + 500, kGpu)), last);
  for (double mib = least + 500; mib > least; mib -= 15) {
    const auto options = within(mib, kGpu);
    EXPECT_GE(slowness(options), last) << mib;
    last = slowness(options);
    EXPECT_EQ(other_keys(options), all);
    EXPECT_LE(MemoryCount(options).of(options).peak(),
              0.85 * (mib - kOfDevice) * kMiB);
  }
  const auto smallest = within(least + 0.1, kGpu);
  EXPECT_TRUE(smallest.activation_checkpointing);
  EXPECT_EQ(smallest.train_tiles.tile, 1);
}

TEST(MemoryPlan, NothingThatFitsIsToldWithWhatIsNeeded) {
  const double least = least_mib();
  const auto small = [&] { within(least - 0.1); };
  expect_parts(error_of(small), {"compute.memory", "too little", "train_tile 1",
                                 "activation_checkpointing true", "at least",
                                 "lower it by", "compute."});
  EXPECT_THROW(small(), UsageError);
  within(least + 0.1);
}

TEST(MemoryPlan, KeepsWhatIsSet) {
  const auto options = options_on({"compute.memory=1TB", "compute.train_tile=7",
                                   "compute.activation_checkpointing=true"});
  EXPECT_EQ(options.train_tiles.tile, 7);
  EXPECT_EQ(options.rollout_tiles.tile, 16);
  EXPECT_TRUE(options.activation_checkpointing);
  // All of it: nothing is left to choose, as where a resolved config is read.
  const auto resolved = within(least_mib() + 1).resolved;
  const auto again = read_run_options(Config::parse(resolved, "config.yaml"));
  EXPECT_EQ(again.resolved, resolved);
  EXPECT_TRUE(again.memory_choice.empty());
}

TEST(MemoryPlan, ARunGoesOnWithWhatItBeganWith) {
  const TemporaryFolder folder;
  const std::string here = "folder=" + folder.path();
  const double mib = least_mib() + 1;
  const auto began = within(mib, kCpu, {here});
  write_file_atomic(folder / "config.yaml", began.resolved);
  // More threads would not fit, or only in smaller tiles.
  const auto goes_on = within(mib, {"compute.threads=16"}, {here});
  EXPECT_EQ(slowness(goes_on), slowness(began));
  EXPECT_TRUE(changed_keys(began.resolved, goes_on.resolved).empty());
  expect_parts(goes_on.memory_choice, {"as this run began"});
  // Another target is another choice, and another run where a tile changes.
  const auto other = options_on({here, "compute.memory=1TB"});
  const auto changed = changed_keys(began.resolved, other.resolved);
  ASSERT_FALSE(changed.empty());
  expect_parts(join(changed), {"train_tile"});
}

TEST(MemoryPlan, OfAGpuCountsTheDeviceAlone) {
  const auto count = [](const std::vector<std::string>& device) {
    const auto options = options_on({}, device);
    return MemoryCount(options).of(options);
  };
  const auto host = count({"compute.threads=1"}), gpu = count(kGpu);
  EXPECT_LT(gpu.peak(), host.peak());
  for (const auto& station : gpu.stations) {
    EXPECT_NE(station.name, "a checkpoint");
  }
}

}  // namespace
}  // namespace rsm
