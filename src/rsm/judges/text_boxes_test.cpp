#include "rsm/judges/text_boxes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "rsm/base/random.h"
#include "rsm/judges/text_geometry.h"

namespace rsm {
namespace {

constexpr double kPi = 3.14159265358979323846;

TEST(SmallestRectangle, IsTheOneThatItsPointsFill) {
  for (int64_t i = 0; i < 20; ++i) {
    const double angle = static_cast<double>(i) * kPi / 20;
    const Rectangle wanted = {
        {10, 20}, {std::cos(angle), std::sin(angle)}, 9, 4};
    std::vector<Point> points;
    for (const auto& corner : wanted.corners()) points.push_back(corner);
    // Others within it.
    const auto inside =
        counted_normal(static_cast<uint64_t>(i), {30, 2}).clamp(-3, 3).div(3);
    for (int64_t j = 0; j < 30; ++j) {
      const double u = inside[j][0].item<double>() * wanted.width / 2;
      const double v = inside[j][1].item<double>() * wanted.height / 2;
      points.push_back({10 + u * wanted.along.x - v * wanted.along.y,
                        20 + u * wanted.along.y + v * wanted.along.x});
    }
    const auto found = smallest_rectangle(points);
    EXPECT_NEAR(found.width * found.height, 36, 1e-6) << angle;
    EXPECT_NEAR(std::max(found.width, found.height), 9, 1e-6);
    EXPECT_NEAR(found.centre.x, 10, 1e-6);
    EXPECT_NEAR(found.centre.y, 20, 1e-6);
    for (const auto& point : points) EXPECT_TRUE(found.holds(point, 1e-6));
    EXPECT_FALSE(found.grown(-0.1).holds(points[0], 0));
  }
}

TEST(SmallestRectangle, IsOfFewPointsALineOrAPoint) {
  const auto one = smallest_rectangle({{3, 4}, {3, 4}});
  EXPECT_EQ(one.width + one.height, 0);
  EXPECT_EQ(one.centre.x, 3);
  const auto line = smallest_rectangle({{0, 0}, {1, 1}, {3, 3}});
  EXPECT_NEAR(std::max(line.width, line.height), std::sqrt(18), 1e-9);
  EXPECT_NEAR(std::min(line.width, line.height), 0, 1e-9);
}

TEST(SmallestRectangle, HasCornersInTheOrderOfReading) {
  const Rectangle box = {{5, 6}, {0, 1}, 4, 10};  // its width downwards
  const auto quad = box.corners();
  const std::vector<Point> wanted = {{0, 4}, {10, 4}, {10, 8}, {0, 8}};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(quad[i].x, wanted[i].x, 1e-9);
    EXPECT_NEAR(quad[i].y, wanted[i].y, 1e-9);
  }
}

void fill(const torch::Tensor& map, int64_t top, int64_t left, int64_t height,
          int64_t width, double value) {
  map.narrow(0, top, height).narrow(1, left, width).fill_(value);
}

void expect_box(const Quad& quad, double left, double top, double right,
                double bottom) {
  EXPECT_EQ(quad[0].x, left);
  EXPECT_EQ(quad[0].y, top);
  EXPECT_EQ(quad[2].x, right);
  EXPECT_EQ(quad[2].y, bottom);
  EXPECT_EQ(quad[1].x, right);
  EXPECT_EQ(quad[3].y, bottom);
}

TEST(TextBoxes, GrowByAreaOverPerimeter) {
  const auto map = at::zeros({64, 128});
  fill(map, 20, 30, 9, 41, 1);  // columns 30 to 70, rows 20 to 28
  TextBoxSettings settings;
  settings.dilate = false;
  auto quads = text_boxes(map, settings, 64, 128);
  ASSERT_EQ(quads.size(), 1u);
  // 40 x 8: area 320 times 1.6 over the perimeter 96 is 5.33.
  expect_box(quads[0], 25, 15, 75, 33);
  settings.dilate = true;  // 41 x 9: 369 * 1.6 / 100 is 5.904
  quads = text_boxes(map, settings, 64, 128);
  expect_box(quads.at(0), 24, 14, 77, 35);
  // A picture of twice the pixels.
  settings.dilate = false;
  expect_box(text_boxes(map, settings, 128, 256).at(0), 49, 29, 151, 67);
}

TEST(TextBoxes, AreSureLargeAndWithinThePicture) {
  TextBoxSettings settings;
  settings.dilate = false;
  const auto map = at::zeros({64, 64});
  EXPECT_TRUE(text_boxes(map, settings, 64, 64).empty());
  fill(map, 2, 2, 3, 30, 1);  // 2 pixels from the first row to the last
  EXPECT_TRUE(text_boxes(map, settings, 64, 64).empty());
  fill(map, 30, 2, 9, 30, 0.4);  // above 0.3, below 0.5
  EXPECT_TRUE(text_boxes(map, settings, 64, 64).empty());
  settings.box_threshold = 0.35;
  EXPECT_EQ(text_boxes(map, settings, 64, 64).size(), 1u);
  settings.box_threshold = 0.5;
  fill(map, 0, 0, 64, 64, 1);
  expect_box(text_boxes(map, settings, 64, 64).at(0), 0, 0, 63, 63);
}

TEST(TextBoxes, AreInTheOrderOfReading) {
  TextBoxSettings settings;
  const auto map = at::zeros({100, 200});
  fill(map, 60, 10, 9, 40, 1);
  fill(map, 20, 110, 9, 40, 1);  // of one line, and higher
  fill(map, 24, 10, 9, 40, 1);
  const auto quads = text_boxes(map, settings, 100, 200);
  ASSERT_EQ(quads.size(), 3u);
  EXPECT_LT(quads[0][0].x, 50);
  EXPECT_GT(quads[1][0].x, 90);
  EXPECT_GT(quads[2][0].y, 40);
}

TEST(TextBoxes, OfSlantedTextAreSlanted) {
  const Rectangle line = {{64, 64}, {std::cos(0.4), std::sin(0.4)}, 70, 12};
  const auto map = at::zeros({128, 128});
  for (int64_t y = 0; y < 128; ++y) {
    for (int64_t x = 0; x < 128; ++x) {
      const Point at = {static_cast<double>(x), static_cast<double>(y)};
      if (line.holds(at, 0)) map[y][x] = 1;
    }
  }
  TextBoxSettings settings;
  settings.dilate = false;
  const auto quad = text_boxes(map, settings, 128, 128).at(0);
  const double distance = 70 * 12 * 1.6 / (2 * (70 + 12));
  const auto wanted = line.grown(distance).corners();
  for (size_t i = 0; i < 4; ++i) {
    // Pixels at its edge are missing, and corners are whole pixels.
    EXPECT_NEAR(quad[i].x, wanted[i].x, 3);
    EXPECT_NEAR(quad[i].y, wanted[i].y, 3);
  }
}

}  // namespace
}  // namespace rsm
