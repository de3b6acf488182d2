#include "rsm/judges/text_boxes.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "rsm/base/error.h"

namespace rsm {
namespace {

// RapidOCR's, in pixels.
constexpr double kLeastSide = 3;    // of what the network found
constexpr double kLeastGrown = 5;   // of it grown, on the map
constexpr int kLeastInPicture = 4;  // of it grown, in the picture
constexpr double kLine = 10;        // lines that differ by less are one
constexpr size_t kMostCandidates = 1000;

using Pixels = std::vector<Point>;

/** Groups of pixels of a mask [H,W] that touch, also at corners. */
std::vector<Pixels> components(const torch::Tensor& mask) {
  const int64_t height = mask.size(0), width = mask.size(1);
  auto left = mask.to(at::kByte).contiguous().clone();
  auto* free = left.data_ptr<uint8_t>();
  std::vector<Pixels> out;
  std::vector<int64_t> waiting;
  for (int64_t first = 0; first < height * width; ++first) {
    if (free[first] == 0) continue;
    out.emplace_back();
    free[first] = 0;
    waiting = {first};
    while (!waiting.empty()) {
      const int64_t at = waiting.back();
      waiting.pop_back();
      const int64_t y = at / width, x = at % width;
      out.back().push_back({static_cast<double>(x), static_cast<double>(y)});
      for (int64_t j = std::max<int64_t>(y - 1, 0);
           j <= std::min(y + 1, height - 1); ++j) {
        for (int64_t i = std::max<int64_t>(x - 1, 0);
             i <= std::min(x + 1, width - 1); ++i) {
          if (free[j * width + i] == 0) continue;
          free[j * width + i] = 0;
          waiting.push_back(j * width + i);
        }
      }
    }
  }
  return out;
}

/** The mean of a map over the pixels that a rectangle touches. */
double mean_within(const torch::Tensor& map, const Rectangle& box) {
  constexpr double kHalfPixel = 0.5;
  const int64_t height = map.size(0), width = map.size(1);
  const auto quad = box.corners();
  const auto by_x = [](const auto& a, const auto& b) { return a.x < b.x; };
  const auto by_y = [](const auto& a, const auto& b) { return a.y < b.y; };
  const auto [left, right] =
      std::minmax_element(quad.begin(), quad.end(), by_x);
  const auto [top, bottom] =
      std::minmax_element(quad.begin(), quad.end(), by_y);
  const auto within = [](double at, int64_t size) {
    return std::clamp<int64_t>(static_cast<int64_t>(at), 0, size - 1);
  };
  const auto* values = map.const_data_ptr<float>();
  double sum = 0;
  int64_t count = 0;
  for (int64_t y = within(std::floor(top->y), height);
       y <= within(std::ceil(bottom->y), height); ++y) {
    for (int64_t x = within(std::floor(left->x), width);
         x <= within(std::ceil(right->x), width); ++x) {
      if (!box.holds({static_cast<double>(x), static_cast<double>(y)},
                     kHalfPixel)) {
        continue;
      }
      sum += values[y * width + x];
      ++count;
    }
  }
  return count > 0 ? sum / static_cast<double>(count) : 0;
}

/** In whole pixels, the rest cut off as RapidOCR does. */
int length(const Point& a, const Point& b) {
  return static_cast<int>(std::hypot(a.x - b.x, a.y - b.y));
}

std::optional<Quad> box_of(const Pixels& pixels, const torch::Tensor& map,
                           const TextBoxSettings& settings, int64_t height,
                           int64_t width) {
  const auto found = smallest_rectangle(pixels);
  if (std::min(found.width, found.height) < kLeastSide) return std::nullopt;
  if (mean_within(map, found) < settings.box_threshold) return std::nullopt;
  const auto grown = found.grown(found.width * found.height * settings.unclip /
                                 (2 * (found.width + found.height)));
  if (std::min(grown.width, grown.height) < kLeastGrown) return std::nullopt;
  const auto scaled = [](double at, int64_t from, int64_t to) {
    const double there =
        at / static_cast<double>(from) * static_cast<double>(to);
    return std::clamp(std::nearbyint(there), 0.0, static_cast<double>(to - 1));
  };
  auto quad = grown.corners();
  for (auto& corner : quad) {
    corner = {scaled(corner.x, map.size(1), width),
              scaled(corner.y, map.size(0), height)};
  }
  if (length(quad[0], quad[1]) < kLeastInPicture ||
      length(quad[0], quad[3]) < kLeastInPicture) {
    return std::nullopt;
  }
  return quad;
}

void sort_as_read(std::vector<Quad>& quads) {
  std::stable_sort(
      quads.begin(), quads.end(), [](const auto& a, const auto& b) {
        return std::pair(a[0].y, a[0].x) < std::pair(b[0].y, b[0].x);
      });
  for (size_t last = 1; last < quads.size(); ++last) {
    for (size_t i = last; i > 0; --i) {
      const auto& before = quads[i - 1][0];
      const auto& here = quads[i][0];
      if (std::abs(here.y - before.y) >= kLine || here.x >= before.x) break;
      std::swap(quads[i - 1], quads[i]);
    }
  }
}

}  // namespace

std::vector<Quad> text_boxes(const torch::Tensor& map,
                             const TextBoxSettings& settings, int64_t height,
                             int64_t width) {
  RSM_CHECK(map.dim() == 2 && map.scalar_type() == at::kFloat &&
                map.device().is_cpu() && map.is_contiguous(),
            "[text_boxes] a map ", map.sizes(), " of ", map.scalar_type(),
            "; [H,W] of float32 on the CPU is needed");
  auto mask = (map > settings.threshold).to(at::kFloat);
  if (settings.dilate) {
    mask = at::max_pool2d(
               at::constant_pad_nd(mask.view({1, 1, map.size(0), map.size(1)}),
                                   {1, 0, 1, 0}),
               {2, 2}, {1, 1})
               .view(map.sizes());
  }
  auto texts = components(mask);
  if (texts.size() > kMostCandidates) texts.resize(kMostCandidates);
  std::vector<Quad> quads;
  for (const auto& pixels : texts) {
    const auto quad = box_of(pixels, map, settings, height, width);
    if (quad) quads.push_back(*quad);
  }
  sort_as_read(quads);
  return quads;
}

}  // namespace rsm
