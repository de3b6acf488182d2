#include "rsm/io/image.h"

#include <gtest/gtest.h>

#include <limits>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** Every byte value, in an order that no filter predicts. */
torch::Tensor busy_image(int64_t height, int64_t width) {
  const auto ramp = torch::arange(3 * height * width, torch::kInt64);
  return (ramp * 7919 + ramp * ramp / 11)
      .remainder(256)
      .to(torch::kUInt8)
      .reshape({3, height, width});
}

TEST(Png, ReadingGivesWhatWasWritten) {
  const TemporaryFolder folder;
  for (const auto& image :
       {busy_image(1, 1), busy_image(5, 3), busy_image(64, 96)}) {
    write_png(folder / "a.png", image);
    EXPECT_TRUE(torch::equal(read_png(folder / "a.png"), image));
  }
  EXPECT_EQ(folder.entries(), 1);
}

TEST(Png, FloatsAreRoundedToTheNearestByte) {
  const TemporaryFolder folder;
  const auto bytes = busy_image(16, 16);
  const auto exact = bytes.to(torch::kFloat32) / 255;
  for (const double shift : {-0.4, 0.0, 0.4}) {
    write_png(folder / "a.png", exact + shift / 255);
    EXPECT_TRUE(torch::equal(read_png(folder / "a.png"), bytes)) << shift;
  }
  write_png(folder / "a.png", torch::full({3, 1, 1}, 7.0));
  EXPECT_EQ(read_png(folder / "a.png").min().item<int>(), 255);
  write_png(folder / "a.png", torch::full({3, 1, 1}, -7.0));
  EXPECT_EQ(read_png(folder / "a.png").max().item<int>(), 0);
}

TEST(Png, EqualImagesGiveEqualBytes) {
  const auto image = busy_image(8, 9);
  const auto view = image.permute({1, 2, 0}).contiguous().permute({2, 0, 1});
  EXPECT_EQ(encode_png(image), encode_png(view));
}

TEST(Png, PythonReadsOursAndWeReadItsKinds) {
  const TemporaryFolder folder;
  const auto image = busy_image(12, 10);
  // PIL keeps Latin-1 as tEXt, where we write iTXt.
  const PngTexts texts = {{"parameters", "a red circle\nSteps: 10"},
                          {"Latin-1", "zw\u00f6lf \u00c4pfel"},
                          {"every other", "\u732b \U0001F431 caf\u00e9"}};
  write_png(folder / "rgb.png", image, texts);
  run_python("png_peer.py", folder.path());
  EXPECT_EQ(read_png_texts(folder / "texts.png"), texts);
  EXPECT_TRUE(torch::equal(read_png(folder / "texts.png"), image));
  // Written by PIL from what it read of ours.
  EXPECT_TRUE(torch::equal(read_png(folder / "again.png"), image));
  const auto red = image[0].expand({3, 12, 10});
  EXPECT_TRUE(torch::equal(read_png(folder / "grey.png"), red));
  EXPECT_TRUE(torch::equal(read_png(folder / "grey16.png"), red));
  EXPECT_TRUE(torch::equal(read_png(folder / "palette.png"), red));
  // Fully transparent on the left half, opaque on the right.
  const auto laid = read_png(folder / "transparent.png");
  EXPECT_EQ(laid.slice(2, 0, 5).min().item<int>(), 255);
  EXPECT_TRUE(torch::equal(laid.slice(2, 5), image.slice(2, 5)));
}

TEST(Png, MalformedFilesAreNamed) {
  const TemporaryFolder folder;
  const auto path = folder / "a.png";
  const auto bytes = encode_png(busy_image(16, 16));
  // The last 12 bytes are the end mark, which carries no pixels.
  for (size_t size = 0; size + 12 < bytes.size(); size += 7) {
    write_file_atomic(path, bytes.substr(0, size));
    expect_parts(error_of([&] { read_png(path); }), {"[png] ", path});
  }
  write_file_atomic(path, "no picture at all");
  expect_parts(error_of([&] { read_png(path); }), {"[png] ", path});
  expect_parts(error_of([&] { read_png(folder / "none.png"); }), {"none.png"});
}

TEST(Png, OtherShapesAndTypesAreNamed) {
  const auto error = [](const torch::Tensor& image) {
    return error_of([&] { encode_png(image); });
  };
  expect_parts(error(torch::ones({1, 4, 4})), {"[1, 4, 4]", "[3,H,W]"});
  expect_parts(error(torch::ones({1, 3, 4, 4})), {"[1, 3, 4, 4]", "[3,H,W]"});
  expect_parts(error(torch::ones({3, 0, 4})), {"[3, 0, 4]"});
  expect_parts(error(torch::ones({3, 4, 4}, torch::kInt64)), {"Long"});
  expect_parts(error(torch::Tensor()), {"undefined"});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_parts(error(torch::full({3, 4, 4}, nan)), {"NaN"});
}

TEST(ImageGrid, EachImageStandsInItsPlaceOnWhite) {
  const int64_t gap = 2, zoom = 3;
  const auto images =
      torch::arange(5 * 3 * 2 * 4, torch::kFloat32).reshape({5, 3, 2, 4}) / 120;
  const auto grid = image_grid(images, 2, gap, zoom);
  ASSERT_EQ(grid.sizes(), (std::vector<int64_t>{3, 3 * 6 + 4, 2 * 12 + 2}));
  auto rest = grid.clone();
  for (int64_t i = 0; i < 5; ++i) {
    const int64_t top = i / 2 * 8, left = i % 2 * 14;
    for (int64_t y = 0; y < 6; ++y) {
      for (int64_t x = 0; x < 12; ++x) {
        EXPECT_TRUE(torch::equal(grid.select(2, left + x).select(1, top + y),
                                 images[i].select(2, x / 3).select(1, y / 3)));
      }
    }
    rest.narrow(1, top, 6).narrow(2, left, 12).fill_(1);
  }
  EXPECT_TRUE(torch::equal(rest, torch::ones_like(rest)));
}

TEST(ImageGrid, OneImageIsItself) {
  const auto image = busy_image(4, 5);
  EXPECT_TRUE(torch::equal(image_grid(image.unsqueeze(0), 8, 3, 1), image));
}

TEST(ImageGrid, BytesStandOnWhiteToo) {
  const auto image = busy_image(1, 1);
  const auto grid = image_grid(torch::stack({image, image}), 2, 1, 1);
  EXPECT_EQ(grid.select(2, 1).min().item<int>(), 255);
}

TEST(ImageGrid, ImpossibleArgumentsAreNamed) {
  const auto error = [](const torch::Tensor& images, int64_t columns,
                        int64_t gap, int64_t zoom) {
    return error_of([&] { image_grid(images, columns, gap, zoom); });
  };
  const auto images = torch::ones({2, 3, 4, 4});
  expect_parts(error(images, 0, 0, 1), {"columns 0"});
  expect_parts(error(images, 1, -1, 1), {"gap -1"});
  expect_parts(error(images, 1, 0, 0), {"zoom 0"});
  expect_parts(error(images[0], 1, 0, 1), {"[3, 4, 4]"});
  expect_parts(error(torch::ones({0, 3, 4, 4}), 1, 0, 1), {"[0, 3, 4, 4]"});
}

}  // namespace
}  // namespace rsm
