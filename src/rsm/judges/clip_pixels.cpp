#include "rsm/judges/clip_pixels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** Of CLIP's training pictures, by channel (openai/CLIP, clip.py). */
constexpr std::array<double, 3> kMean = {0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kDeviation = {0.26862954, 0.26130258,
                                              0.27577711};

torch::Tensor by_channel(const std::array<double, 3>& numbers,
                         const torch::Tensor& like) {
  return at::tensor(at::ArrayRef<double>(numbers), at::kDouble)
      .to(like.options())
      .view({1, 3, 1, 1});
}

torch::Tensor resized(const torch::Tensor& images, int64_t height,
                      int64_t width) {
  if (images.size(2) == height && images.size(3) == width) return images;
  const std::vector<int64_t> size = {height, width};
  return at::_upsample_bicubic2d_aa(images, size, /*align_corners=*/false);
}

/** The middle [size,size]; an odd rest is one pixel more at the end. */
torch::Tensor cropped(const torch::Tensor& images, int64_t size) {
  int64_t height = size, width = size;
  const int64_t h = images.size(2), w = images.size(3);
  // transformers cuts off the fraction of the longer side.
  (h > w ? height : width) = size * std::max(h, w) / std::min(h, w);
  return resized(images, height, width)
      .narrow(2, (height - size) / 2, size)
      .narrow(3, (width - size) / 2, size);
}

/** Python's round(): halves go to the even number. */
int64_t rounded(double number) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(number)));
}

torch::Tensor padded(const torch::Tensor& images, int64_t size) {
  const int64_t h = images.size(2), w = images.size(3);
  const double scale =
      static_cast<double>(size) / static_cast<double>(std::max(h, w));
  const int64_t height = rounded(static_cast<double>(h) * scale);
  const int64_t width = rounded(static_cast<double>(w) * scale);
  const int64_t above = (size - height) / 2, left = (size - width) / 2;
  return at::constant_pad_nd(
      resized(images, height, width),
      {left, size - width - left, above, size - height - above});
}

}  // namespace

torch::Tensor clip_pixels(const torch::Tensor& images, int64_t size,
                          ClipFit fit) {
  RSM_CHECK(images.dim() == 4 && images.size(1) == 3 && images.size(2) > 0 &&
                images.size(3) > 0 && images.is_floating_point() && size > 0,
            "[clip_pixels] images ", images.sizes(), " of ",
            images.scalar_type(), " for ", size,
            " pixels; floating-point [B,3,H,W] are needed");
  const auto square =
      fit == ClipFit::crop ? cropped(images, size) : padded(images, size);
  return (square - by_channel(kMean, square)) / by_channel(kDeviation, square);
}

}  // namespace rsm
