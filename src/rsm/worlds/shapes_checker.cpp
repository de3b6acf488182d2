#include "rsm/worlds/shapes_checker.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <cstdlib>

// Verdicts turn on single bits: float where float is written, sums from left to
// right, and no contraction of multiply-adds (-ffp-contract=off).
namespace rsm::shapes {
namespace {

constexpr int kPixels = kSize * kSize;
constexpr int kBackgroundIndex = kColors;

constexpr float kForeground = 0.30f;  // squared RGB distance
constexpr size_t kSpeck = 6;
constexpr float kCovered = 0.5f;
constexpr double kPrevails = 0.5;
constexpr double kSquareFill = 0.895;  // between pi / 4 and 1
constexpr double kMinOverlap = 0.72;
constexpr int64_t kMinArea = 20;
constexpr int64_t kMaxArea = 500;
constexpr double kMaxAspect = 1.4;
constexpr double kMinOffset = 2;
constexpr int kTextureMargin = 2;

constexpr int kMaskSize = 12;
using Mask = std::bitset<kMaskSize * kMaskSize>;
using Color = std::array<float, 3>;
using PixelList = std::vector<int>;

/** The eight colours, then the background. */
const std::array<Color, kColors + 1>& palette() {
  static const auto colors = [] {
    std::array<Color, kColors + 1> out;
    for (int c = 0; c < kColors; ++c) {
      out[c] = color_value(c);
    }
    out[kBackgroundIndex] = background_value();
    return out;
  }();
  return colors;
}

float dot(const Color& a, const Color& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

Color minus(const Color& a, const Color& b) {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}

float squared_distance(const Color& a, const Color& b) {
  const Color d = minus(a, b);
  return dot(d, d);
}

Color pixel_color(const float* image, int pixel) {
  Color out;
  for (int c = 0; c < 3; ++c) {
    out[c] = std::clamp(image[c * kPixels + pixel], -1.0f, 1.0f);
  }
  return out;
}

bool is_foreground(const Color& color) {
  return squared_distance(color, palette()[kBackgroundIndex]) > kForeground;
}

/** Index of the nearest colour of the palette; the first one of equals. */
int nearest_color(const Color& color) {
  int best = 0;
  float best_distance = squared_distance(color, palette()[0]);
  for (int c = 1; c <= kColors; ++c) {
    const float distance = squared_distance(color, palette()[c]);
    if (distance < best_distance) {
      best = c;
      best_distance = distance;
    }
  }
  return best;
}

/** 4-connected foreground, in the order of first pixels; each list is sorted.
 */
std::vector<PixelList> components(const float* image) {
  std::bitset<kPixels> open;
  for (int p = 0; p < kPixels; ++p) {
    open[p] = is_foreground(pixel_color(image, p));
  }
  std::vector<PixelList> found;
  for (int start = 0; start < kPixels; ++start) {
    if (!open[start]) {
      continue;
    }
    PixelList pixels = {start};
    open[start] = false;
    const auto visit = [&](bool inside, int pixel) {
      if (inside && open[pixel]) {
        open[pixel] = false;
        pixels.push_back(pixel);
      }
    };
    for (size_t i = 0; i < pixels.size(); ++i) {
      const int p = pixels[i];
      visit(p % kSize > 0, p - 1);
      visit(p % kSize < kSize - 1, p + 1);
      visit(p >= kSize, p - kSize);
      visit(p < kPixels - kSize, p + kSize);
    }
    std::sort(pixels.begin(), pixels.end());
    found.push_back(std::move(pixels));
  }
  return found;
}

/** The most frequent nearest colour; -1 where all are the background. */
int main_color(const float* image, const PixelList& pixels) {
  std::array<int, kColors + 1> count{};
  for (const int p : pixels) {
    ++count[nearest_color(pixel_color(image, p))];
  }
  const auto best = std::max_element(count.begin(), count.begin() + kColors);
  return *best == 0 ? -1 : static_cast<int>(best - count.begin());
}

/** Pixels at least half way from the background to the colour; at exactly half
 * way rounding decides. */
PixelList half_covered(const float* image, const PixelList& pixels, int color) {
  const Color& background = palette()[kBackgroundIndex];
  const Color way = minus(palette()[color], background);
  const float length = dot(way, way);
  PixelList kept;
  for (const int p : pixels) {
    const Color offset = minus(pixel_color(image, p), background);
    if (dot(offset, way) / length >= kCovered) {
      kept.push_back(p);
    }
  }
  return kept;
}

/** The bounding box of some pixels, and which of its pixels they are. */
struct Silhouette {
  int top = kSize;
  int left = kSize;
  int height = 0;
  int width = 0;
  std::bitset<kPixels> inside;

  explicit Silhouette(const PixelList& pixels) {
    int bottom = -1;
    int right = -1;
    for (const int p : pixels) {
      inside[p] = true;
      top = std::min(top, p / kSize);
      bottom = std::max(bottom, p / kSize);
      left = std::min(left, p % kSize);
      right = std::max(right, p % kSize);
    }
    height = bottom - top + 1;
    width = right - left + 1;
  }

  /** Stretched to a mask of fixed size, by nearest pixels. */
  Mask mask() const {
    const auto source = [](int i, int n) {
      return std::min(static_cast<int>((i + 0.5) * n / kMaskSize), n - 1);
    };
    Mask out;
    for (int y = 0; y < kMaskSize; ++y) {
      for (int x = 0; x < kMaskSize; ++x) {
        out[y * kMaskSize + x] =
            inside[(top + source(y, height)) * kSize + left + source(x, width)];
      }
    }
    return out;
  }
};

const std::array<Mask, kShapes>& templates() {
  static const auto masks = [] {
    constexpr double kCentre = kSize / 2;
    constexpr double kRadius = 12;
    std::array<Mask, kShapes> out;
    for (int s = 0; s < kShapes; ++s) {
      PixelList pixels;
      for (int p = 0; p < kPixels; ++p) {
        if (shape_distance(s, p % kSize + 0.5 - kCentre,
                           p / kSize + 0.5 - kCentre, kRadius) < 0) {
          pixels.push_back(p);
        }
      }
      out[s] = Silhouette(pixels).mask();
    }
    return out;
  }();
  return masks;
}

int recognise(const PixelList& pixels) {
  const Silhouette silhouette(pixels);
  const Mask mask = silhouette.mask();
  std::array<double, kShapes> overlap;
  for (int s = 0; s < kShapes; ++s) {
    const auto both = (mask & templates()[s]).count();
    const auto either = (mask | templates()[s]).count();
    overlap[s] = static_cast<double>(both) / static_cast<double>(either);
  }
  int shape = static_cast<int>(
      std::max_element(overlap.begin(), overlap.end()) - overlap.begin());
  const auto area = std::ssize(pixels);
  const int height = silhouette.height;
  const int width = silhouette.width;
  if (shape < 2) {  // circles and squares overlap too much to tell
    shape = static_cast<double>(area) > kSquareFill * height * width ? 1 : 0;
  }
  const bool valid =
      overlap[shape] >= kMinOverlap && area >= kMinArea && area <= kMaxArea &&
      std::max(height, width) <= kMaxAspect * std::min(height, width);
  return valid ? shape : -1;
}

/** What is required of one object; colour -1: any. */
struct Required {
  int shape;
  int color;

  double match(const Detected& found) const {
    const double right_shape = found.shape == shape ? 1 : 0;
    if (color < 0) {
      return right_shape;
    }
    return 0.5 * right_shape + (found.color == color ? 0.5 : 0);
  }
};

std::vector<Required> requirements(const Spec& spec) {
  std::vector<Required> out;
  const bool counting = spec.category == Category::counting;
  for (int i = 0; i < spec.objects(); ++i) {
    out.push_back({spec.shapes[counting ? 0 : i],
                   spec.colors.empty() ? -1 : spec.colors[i]});
  }
  return out;
}

bool relation_holds(const Detected& a, const Detected& b, int relation) {
  const double dx = a.cx - b.cx;
  const double dy = a.cy - b.cy;
  const bool horizontal = relation < 2;
  const double along = horizontal ? dx : dy;
  const double across = horizontal ? dy : dx;
  const bool ahead =
      relation % 2 == 0 ? along < -kMinOffset : along > kMinOffset;
  return ahead && std::abs(along) >= std::abs(across);
}

}  // namespace

std::vector<Detected> detect(const float* image) {
  std::vector<Detected> found;
  for (const PixelList& component : components(image)) {
    if (component.size() < kSpeck) {
      continue;
    }
    const int color = main_color(image, component);
    if (color < 0) {
      continue;
    }
    const PixelList pixels = half_covered(image, component, color);
    if (pixels.size() < kSpeck) {
      continue;
    }
    const auto area = static_cast<double>(pixels.size());
    double of_color = 0;
    double x = 0;
    double y = 0;
    for (const int p : pixels) {
      of_color += nearest_color(pixel_color(image, p)) == color ? 1 : 0;
      x += p % kSize;
      y += p / kSize;
    }
    found.push_back({recognise(pixels),
                     of_color / area >= kPrevails ? color : -1, x / area,
                     y / area, std::ssize(pixels)});
  }
  return found;
}

Verdict check(const std::vector<Detected>& found, const Spec& spec) {
  const std::vector<Required> required = requirements(spec);
  std::vector<bool> used(found.size(), false);
  std::vector<int> match(required.size(), -1);
  double total = 0;
  for (const double level : {1.0, 0.5}) {
    for (size_t i = 0; i < required.size(); ++i) {
      for (size_t j = 0; j < found.size() && match[i] < 0; ++j) {
        if (!used[j] && required[i].match(found[j]) >= level) {
          used[j] = true;
          match[i] = static_cast<int>(j);
          total += required[i].match(found[j]);
        }
      }
    }
  }
  Verdict verdict;
  verdict.graded =
      total / static_cast<double>(std::max(required.size(), found.size()));
  if (spec.relation >= 0) {
    const bool right =
        match[0] >= 0 && match[1] >= 0 &&
        relation_holds(found[match[0]], found[match[1]], spec.relation);
    verdict.graded *= right ? 1.0 : 0.5;
  }
  verdict.strict = verdict.graded > 0.999;
  return verdict;
}

Verdict check(const float* image, const Spec& spec) {
  return check(detect(image), spec);
}

double background_texture(const float* image) {
  std::bitset<kPixels> near;
  for (int p = 0; p < kPixels; ++p) {
    if (!is_foreground(pixel_color(image, p))) {
      continue;
    }
    const int row = p / kSize;
    const int column = p % kSize;
    for (int y = std::max(row - kTextureMargin, 0);
         y <= std::min(row + kTextureMargin, kSize - 1); ++y) {
      for (int x = std::max(column - kTextureMargin, 0);
           x <= std::min(column + kTextureMargin, kSize - 1); ++x) {
        near[y * kSize + x] = true;
      }
    }
  }
  double sum = 0;
  for (int p = 0; p < kPixels; ++p) {
    if (!near[p]) {
      const Color d = minus(pixel_color(image, p), palette()[kBackgroundIndex]);
      for (const float value : d) {
        sum += double{value} * value / 4;
      }
    }
  }
  const auto pixels = static_cast<double>(kPixels - near.count());
  return pixels == 0 ? 0 : sum / (3 * pixels);
}

}  // namespace rsm::shapes
