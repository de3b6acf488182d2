#include "rsm/report/read_strip.h"

#include <gtest/gtest.h>

#include "rsm/data/sample_sheet.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/report/report.h"
#include "rsm/report/run_testing.h"

namespace rsm::report {
namespace {

/** Twelve pictures of 8 pixels, in rows of five: picture i of an epoch is grey
 * i + 10 epochs, and right at later ones. */
SampleSheet example_sheet(int64_t epoch) {
  SampleSheet out;
  out.epoch = epoch;
  out.columns = 5;
  out.tile_width = out.tile_height = 8;
  out.gap = 2;
  out.metric = "strict";
  out.seed = 7;
  for (int64_t i = 0; i < 12; ++i) {
    out.prompts.push_back(cat("prompt <", i, ">"));
    out.members.push_back(i % 2);
    out.scores.push_back(epoch > 3 ? 1 : 0);
  }
  return out;
}

struct Folder : TemporaryFolder {
  std::vector<EpochRecord> lines = std::vector<EpochRecord>(30);
  std::vector<std::string> problems;

  void keep(const SampleSheet& sheet) const {
    const auto images = (torch::arange(12) + 10 * sheet.epoch)
                            .to(torch::kUInt8)
                            .reshape({12, 1, 1, 1})
                            .expand({12, 3, 8, 8});
    write_sample_sheet(*this / sample_sheet_name(sheet.epoch), sheet,
                       image_grid(images, 5, 2, 1));
  }

  StripRecord strip(const std::vector<int64_t>& epochs) {
    std::vector<const EpochRecord*> evaluated;
    for (const int64_t epoch : epochs) {
      lines[epoch].epoch = epoch;
      evaluated.push_back(&lines[epoch]);
    }
    return read_strip(path(), evaluated, problems);
  }
};

TEST(ReadStrip, ShowsEvenlySpacedPicturesOfEvenlySpacedEvaluations) {
  Folder folder;
  std::vector<int64_t> epochs;
  for (int64_t epoch = 0; epoch <= 20; epoch += 2) {
    epochs.push_back(epoch);
    folder.keep(example_sheet(epoch));
  }
  const auto strip = folder.strip(epochs);
  EXPECT_EQ(strip.epochs, (std::vector<int64_t>{0, 2, 4, 8, 10, 14, 16, 20}));
  EXPECT_EQ(strip.prompts.front(), "prompt <0>");
  EXPECT_EQ(strip.prompts[1], "prompt <2>");
  EXPECT_EQ(strip.prompts.back(), "prompt <11>");
  EXPECT_EQ(strip.members.back(), 1);
  EXPECT_EQ(strip.layout.columns, 8);
  EXPECT_EQ(strip.layout.tiles, 6 * 8);
  write_plain(folder / "strip.png", strip.grid.png);
  const auto grid = read_png(folder / "strip.png");
  EXPECT_EQ(grid.size(1), strip.layout.height());
  EXPECT_EQ(grid.size(2), strip.layout.width());
  // The second prompt at the third evaluation.
  EXPECT_EQ(grid[0][10 + 4][2 * 10 + 4].item<int>(), 2 + 10 * 4);
  EXPECT_EQ(strip.grid.scores[8 + 1], 0);
  EXPECT_EQ(strip.grid.scores[8 + 2], 1);
  EXPECT_TRUE(folder.problems.empty());
}

TEST(ReadStrip, WhatIsNotThereIsLeftOutAndWhatIsWrongTold) {
  Folder folder;
  EXPECT_TRUE(folder.strip({0, 2, 4}).epochs.empty());
  folder.keep(example_sheet(2));
  EXPECT_TRUE(folder.strip({0, 2, 4}).epochs.empty());  // one is no strip
  folder.keep(example_sheet(4));
  EXPECT_EQ(folder.strip({0, 2, 4}).epochs, (std::vector<int64_t>{2, 4}));
  EXPECT_TRUE(folder.problems.empty());
  auto other = example_sheet(6);
  other.prompts[3] = "another";
  folder.keep(other);
  write_plain(folder / sample_sheet_name(8), "no picture");
  EXPECT_EQ(folder.strip({0, 2, 4, 6, 8}).epochs, (std::vector<int64_t>{2, 4}));
  ASSERT_EQ(folder.problems.size(), 2u);
  expect_parts(folder.problems[0], {"epoch 6", "other pictures"});
  expect_parts(folder.problems[1], {"epoch 8", "no PNG file"});
}

TEST(Report, HasAStripOfEveryPromptOverTraining) {
  const TemporaryFolder folder;
  write_run(folder.path(), example_log(), example_run());
  write_samples(folder.path());
  write_report(folder.path());
  EXPECT_EQ(read_file(folder / "report.html").find("Over training"),
            std::string::npos);
  const Folder drawn;
  for (const int64_t epoch : {0, 2}) {
    drawn.keep(example_sheet(epoch));
    std::filesystem::copy_file(
        drawn / sample_sheet_name(epoch),
        folder / ("samples/" + sample_sheet_name(epoch)));
  }
  write_report(folder.path());
  const auto page = read_file(folder / "report.html");
  expect_parts(page,
               {"<h2>Over training", "counted from seed 7", "all 2 evaluations",
                ">before</th>", ">epoch 2</th>", "prompt &lt;0&gt;</th>",
                "prompt &lt;11&gt; <small>sample 2</small></th>",
                "aria-label=\"epoch 2: wrong\""});
  EXPECT_EQ(occurrences(page, "href=\"#strip\""), 6 * 2);
  EXPECT_EQ(tag_problem(page), "");
}

}  // namespace
}  // namespace rsm::report
