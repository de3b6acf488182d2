#include "rsm/data/sample_sheet.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

SampleSheet example_sheet() {
  SampleSheet out;
  out.epoch = 12;
  out.columns = 2;
  out.tile_width = 4;
  out.tile_height = 3;
  out.gap = 1;
  out.metric = "strict";
  out.seed = 42;
  out.prompts = {"a red circle", "zwölf Äpfel", "a cross"};
  out.members = {0, 0, 1};
  out.scores = {1, std::numeric_limits<double>::quiet_NaN(), 0.5};
  return out;
}

/** Picture k is of colour 80 k. */
torch::Tensor example_grid() {
  const auto images =
      (torch::arange(3, torch::kUInt8) * 80).reshape({3, 1, 1, 1});
  return image_grid(images.expand({3, 3, 3, 4}), 2, 1, 1);
}

TEST(SampleSheet, ReadingGivesWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = folder / sample_sheet_name(12);
  EXPECT_EQ(path, folder / "epoch-000012.png");
  const auto sheet = example_sheet();
  write_sample_sheet(path, sheet, example_grid());
  const auto read = read_sample_sheet(path);
  EXPECT_EQ(read.epoch, sheet.epoch);
  EXPECT_EQ(read.metric, sheet.metric);
  EXPECT_EQ(read.seed, sheet.seed);
  EXPECT_EQ(read.prompts, sheet.prompts);
  EXPECT_EQ(read.members, sheet.members);
  EXPECT_EQ(read.scores[0], 1);
  EXPECT_TRUE(std::isnan(read.scores[1]));
  EXPECT_TRUE(torch::equal(read.grid, example_grid()));
  for (int64_t k = 0; k < 3; ++k) {
    const auto tile = read.tile(read.grid, k);
    EXPECT_EQ(tile.sizes(), at::IntArrayRef({3, 3, 4}));
    EXPECT_EQ(tile.min().item<int64_t>(), 80 * k);
    EXPECT_EQ(tile.max().item<int64_t>(), 80 * k);
  }
}

TEST(SampleSheet, WhatIsMissingOrContradictsIsNamed) {
  const TemporaryFolder folder;
  const auto path = folder / "a.png";
  const auto error = [&](const auto& spoil) {
    auto sheet = example_sheet();
    spoil(sheet);
    write_sample_sheet(path, sheet, example_grid());
    return error_of([&] { read_sample_sheet(path); });
  };
  using Sheet = SampleSheet;
  expect_parts(error([](Sheet& s) { s.members.pop_back(); }),
               {path, "members", "one a prompt"});
  expect_parts(error([](Sheet& s) { s.scores.push_back(1); }),
               {path, "scores", "one a prompt"});
  expect_parts(error([](Sheet& s) { s.columns = 0; }), {path, "columns is 0"});
  expect_parts(error([](Sheet& s) { s.tile_width = 5; }),
               {path, "9 x 7 pixels", "11 x 7"});
  write_png(path, example_grid());
  expect_parts(error_of([&] { read_sample_sheet(path); }),
               {path, "no text \"rsm\""});
  write_png(path, example_grid(), {{"rsm", "{\"epoch\": "}});
  expect_parts(error_of([&] { read_sample_sheet(path); }),
               {path, "not valid JSON"});
}

}  // namespace
}  // namespace rsm
