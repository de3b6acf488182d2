#include "rsm/judges/geneval_colours.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "rsm/base/error.h"
#include "rsm/judges/clip_pixels.h"
#include "rsm/judges/network_reward.h"

namespace rsm::geneval {
namespace {

constexpr double kGround = 153.0 / 255;  // GenEval's #999

constexpr double kBlack = 0.2;     // values below
constexpr double kGrey = 0.15;     // saturations below
constexpr double kWhite = 0.8;     // values above, where grey
constexpr double kPale = 0.6;      // saturations below; pink, where red
constexpr double kPink = 0.7;      // values above
constexpr double kBrown = 0.65;    // values below, where orange
constexpr double kBrownish = 0.8;  // saturations below, where red
constexpr int kRed = 0, kOrange = 1, kPinkPlace = 6, kBrownPlace = 7,
              kBlackPlace = 8, kWhitePlace = 9;

/** Degrees at which one hue ends and the next begins, and what they are. */
constexpr std::array<double, 7> kHueEnds = {15, 45, 70, 165, 255, 310, 345};
constexpr std::array<int64_t, 8> kHues = {0, 1, 2, 3, 4, 5, 6, 0};

struct Span {
  int64_t first, length;
};

/** Python's round(), within [0, size). */
Span span_of(float begin, float end, int64_t size) {
  const auto pixel = [&](float at, int64_t least, int64_t most) {
    const float inside =
        std::clamp(at, static_cast<float>(least), static_cast<float>(most));
    return static_cast<int64_t>(std::nearbyint(inside));
  };
  const int64_t first = pixel(begin, 0, size - 1);
  return {first, pixel(end, first + 1, size) - first};
}

torch::Tensor cut(const torch::Tensor& of, Span rows, Span columns) {
  return of.narrow(-2, rows.first, rows.length)
      .narrow(-1, columns.first, columns.length);
}

/** Of red, green, blue [n] each: places in kColours or kNoColour, [n] int64. */
torch::Tensor pixel_colours(const torch::Tensor& r, const torch::Tensor& g,
                            const torch::Tensor& b) {
  const auto value = at::maximum(at::maximum(r, g), b);
  const auto range = value - at::minimum(at::minimum(r, g), b);
  const auto some = range.clamp_min(1e-12);
  const auto saturation = range / value.clamp_min(1e-12);
  const auto sixths =
      at::where(value == r, at::remainder((g - b) / some, 6.0),
                at::where(value == g, (b - r) / some + 2, (r - g) / some + 4));
  const auto places = at::bucketize(
      sixths * 60,
      at::tensor(at::ArrayRef<double>(kHueEnds), at::dtype(at::kDouble)),
      /*out_int32=*/false, /*right=*/true);
  auto out = at::tensor(at::ArrayRef<int64_t>(kHues), at::kLong)
                 .index_select(0, places);
  const auto red = out == kRed;
  out = out.masked_fill((out == kOrange).logical_and(value < kBrown),
                        kBrownPlace);
  out = out.masked_fill(
      red.logical_and(saturation < kBrownish).logical_and(value <= kPink),
      kBrownPlace);
  out = out.masked_fill(
      red.logical_and(saturation < kPale).logical_and(value > kPink),
      kPinkPlace);
  const auto grey = saturation < kGrey;
  out = out.masked_fill(grey, kNoColour);
  out = out.masked_fill(grey.logical_and(value > kWhite), kWhitePlace);
  return out.masked_fill(value < kBlack, kBlackPlace);
}

}  // namespace

Part part_of(const torch::Tensor& image, const Box& box,
             const torch::Tensor& mask) {
  const Span rows = span_of(box.top, box.bottom, image.size(1));
  const Span columns = span_of(box.left, box.right, image.size(2));
  return {cut(image, rows, columns),
          mask.defined() ? cut(mask, rows, columns) : torch::Tensor()};
}

int colour_by_hue(const Part& part) {
  const int64_t height = part.pixels.size(1), width = part.pixels.size(2);
  auto pixels = part.pixels.to(at::kCPU, at::kDouble);
  if (part.mask.defined()) {
    pixels = pixels.flatten(1).index_select(
        1, part.mask.to(at::kCPU).flatten().nonzero().flatten());
  } else {
    pixels = cut(pixels, {height / 4, std::max<int64_t>(1, height / 2)},
                 {width / 4, std::max<int64_t>(1, width / 2)})
                 .flatten(1);
  }
  const auto found = pixel_colours(pixels[0], pixels[1], pixels[2]);
  const auto counts = at::bincount(found + 1, {}, kColours.size() + 1)
                          .slice(0, 1);  // but for kNoColour
  if (counts.max().item<int64_t>() == 0) return kNoColour;
  return static_cast<int>(counts.argmax().item<int64_t>());
}

torch::Tensor ColoursByClip::texts(const std::string& name) const {
  std::vector<torch::Tensor> out;
  for (const std::string colour : kColours) {
    const auto mean =
        towers_
            .text_features({"a photo of a " + colour + " " + name,
                            "a photo of a " + colour + "-colored " + name,
                            "a photo of a " + colour + " object"})
            .mean(0);
    out.push_back(mean / mean.norm());
  }
  return at::stack(out);
}

torch::Tensor ColoursByClip::cosines(
    const std::vector<Part>& parts,
    const std::vector<std::string>& names) const {
  RSM_CHECK(parts.size() == names.size(), "[geneval] ", parts.size(),
            " parts and ", names.size(), " names; one for each is needed");
  const torch::NoGradGuard no_grad;
  constexpr int64_t kTile = NetworkReward::kTile;
  const int64_t count = std::ssize(parts);
  std::map<std::string, torch::Tensor> known;
  for (const auto& name : names) {
    if (!known.contains(name)) known[name] = texts(name);
  }
  std::vector<torch::Tensor> rows;
  for (int64_t first = 0; first < count; first += kTile) {
    std::vector<torch::Tensor> pixels;
    for (int64_t i = first; i < first + kTile; ++i) {
      const Part& part = parts[std::min(i, count - 1)];
      const auto shown =
          part.mask.defined()
              ? at::where(part.mask, part.pixels,
                          at::full({}, kGround, part.pixels.options()))
              : part.pixels;
      pixels.push_back(
          clip_pixels(shown.unsqueeze(0), towers_.image_size(), ClipFit::crop));
    }
    const auto features = towers_.image_features(at::cat(pixels));
    for (int64_t i = first; i < std::min(first + kTile, count); ++i) {
      rows.push_back(at::mv(known.at(names[i]), features[i - first]));
    }
  }
  const int64_t colours = kColours.size();
  return rows.empty() ? at::empty({0, colours}) : at::stack(rows).to(at::kCPU);
}

}  // namespace rsm::geneval
