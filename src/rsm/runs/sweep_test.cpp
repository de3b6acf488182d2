#include "rsm/runs/sweep.h"

#include <gtest/gtest.h>

#include <set>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

const std::string kSweep =
    "name: table\n"
    "config: configs/shapes/demo.yaml\n"
    "set: [train.max_minutes=2, train.epochs=7]\n"
    "seeds: [3, 5]\n"
    "settings:\n"
    "  - label: One way\n"
    "  - label: Another (way)\n"
    "    set: [train.epochs=9]\n";

Sweep parsed(const std::string& text) {
  return read_sweep(Config::parse(text, "sweep.yaml"));
}

TEST(Sweep, IsSettingsTimesSeedsSeedBySeed) {
  const auto sweep = parsed(kSweep);
  ASSERT_EQ(sweep.runs.size(), 4u);
  std::vector<std::string> folders;
  for (const auto& run : sweep.runs) {
    folders.push_back(run.options.folder);
    EXPECT_EQ(run.options.seed, run.seed);
    EXPECT_EQ(run.options.label, run.label);
    EXPECT_EQ(run.options.max_minutes, 2);
  }
  EXPECT_EQ(folders, (std::vector<std::string>{
                         "runs/table/one-way-3", "runs/table/another-way-3",
                         "runs/table/one-way-5", "runs/table/another-way-5"}));
  // A setting's own value wins over the one for all.
  EXPECT_EQ(sweep.runs[0].options.epochs, 7);
  EXPECT_EQ(sweep.runs[1].options.epochs, 9);
}

TEST(Sweep, VariesEverySettingOverEveryValue) {
  const auto sweep = parsed(kSweep +
                            "vary:\n"
                            "  - key: train.lr\n"
                            "    values: [1e-4, 3e-4]\n"
                            "  - key: method.regularisation.beta\n"
                            "    values: [0.1, 0.2, 0.3]\n");
  EXPECT_EQ(sweep.runs.size(), 2u * 2 * 3 * 2);
  std::set<std::string> folders;
  for (const auto& run : sweep.runs) {
    folders.insert(run.options.folder);
  }
  EXPECT_EQ(folders.size(), sweep.runs.size());
  EXPECT_EQ(sweep.runs[0].label,
            "One way, train.lr=1e-4, method.regularisation.beta=0.1");
  EXPECT_EQ(sweep.runs[0].options.lr, 1e-4);
}

TEST(Sweep, LabelsAndFoldersMayHoldAnything) {
  const auto sweep = parsed(
      "name: it's\nconfig: configs/shapes/demo.yaml\nseeds: [1]\n"
      "settings: [{label: \"Adam's #1: {a}\"}]\n");
  EXPECT_EQ(sweep.runs[0].options.label, "Adam's #1: {a}");
  EXPECT_EQ(sweep.runs[0].options.folder, "runs/it's/adam-s-1-a-1");
}

TEST(Sweep, MistakesAreNamed) {
  const auto error = [](const std::string& text) {
    return error_of([&] { parsed(text); });
  };
  expect_parts(error("name: a\nconfig: configs/shapes/demo.yaml\n"),
               {"settings", "at least one"});
  expect_parts(error(kSweep + "  - label: one WAY\n"),
               {"settings", "two settings", "one WAY"});
  expect_parts(error(kSweep + "  - label: \"---\"\n"), {"folder name"});
  expect_parts(error(kSweep + "sedes: [1]\n"), {"sedes", "seeds"});
  expect_parts(error("name: a\nseeds: [1, 1]\nconfig: x\nsettings: "
                     "[{label: a}]\n"),
               {"seeds", "1 stands twice"});
  expect_parts(error("name: a/b\nconfig: x\nsedes: [1]\nseeds: [x]\n"),
               {"4 problems", "sedes", "a/b", "seeds[0]", "no setting"});
  // A mistake in a setting is one in the config it makes.
  expect_parts(error(kSweep + "    extra: 1\n"), {"extra"});
  expect_parts(error(kSweep + "  - label: third\n    set: [train.lrr=1]\n"),
               {"train.lrr", "lr"});
}

TEST(SweepPart, EveryRunIsInOneOfThem) {
  for (const size_t of : {1u, 3u, 8u}) {
    for (size_t run = 0; run < 20; ++run) {
      int taken = 0;
      for (size_t i = 1; i <= of; ++i) {
        taken += read_sweep_part(cat(i, "/", of)).takes(run) ? 1 : 0;
      }
      EXPECT_EQ(taken, 1) << run << " of " << of;
    }
  }
  EXPECT_TRUE(read_sweep_part("1/4").takes(0));
}

TEST(SweepPart, AnythingElseIsNamed) {
  for (const std::string text : {"", "1", "0/2", "3/2", "1/0", "a/2", "1/2x",
                                 "1 / 2", "-1/2", "1/2/3"}) {
    expect_parts(error_of([&] { read_sweep_part(text); }),
                 {"\"" + text + "\"", "1/8"});
  }
}

TEST(FolderName, KeepsLettersDigitsAndDots) {
  EXPECT_EQ(folder_name("TempFlow-GRPO, train.lr=1e-4"),
            "tempflow-grpo-train.lr-1e-4");
  EXPECT_EQ(folder_name("  (a)  "), "a");
}

}  // namespace
}  // namespace rsm
