#include "rsm/judges/onnx_pixels.h"

#include <algorithm>
#include <cmath>

#include "rsm/io/image.h"

namespace rsm {
namespace {

constexpr double kMostRange = 65535;  // of 16-bit pictures
constexpr const char* kBgr = "bgr";

void read_channels(const JsonFields& fields, const char* key, double above,
                   std::array<double, 3>& values) {
  if (!fields.has(key)) return;
  const auto given = fields.numbers(key);
  const bool right =
      given.size() == values.size() &&
      std::all_of(given.begin(), given.end(), [&](double number) {
        return std::isfinite(number) && number > above;
      });
  fields.check(key, right,
               above == 0 ? "a list of three numbers above 0"
                          : "a list of three numbers");
  std::copy(given.begin(), given.end(), values.begin());
}

torch::Tensor by_channel(const std::array<double, 3>& numbers) {
  return at::tensor(at::ArrayRef<double>(numbers), at::kFloat)
      .view({1, 3, 1, 1});
}

}  // namespace

void read_pixels(const JsonFields& fields, OnnxPixels& pixels) {
  fields.number_above("range", pixels.range, 0, kMostRange);
  read_channels(fields, "mean", -INFINITY, pixels.mean);
  read_channels(fields, "std", 0, pixels.std);
  std::string order = pixels.bgr ? kBgr : "rgb";
  fields.choice("channels", order, {"rgb", kBgr});
  pixels.bgr = order == kBgr;
}

torch::Tensor shown_pixels(const torch::Tensor& images,
                           const OnnxPixels& pixels) {
  const auto ordered = pixels.bgr ? images.flip({1}) : images;
  return (ordered.to(at::kCPU, at::kFloat) * pixels.range -
          by_channel(pixels.mean)) /
         by_channel(pixels.std);
}

torch::Tensor byte_values(const torch::Tensor& images) {
  return picture_bytes(images.to(at::kCPU))
      .permute({0, 3, 1, 2})
      .to(at::kFloat)
      .contiguous();
}

torch::Tensor resized_bytes(const torch::Tensor& bytes, int64_t height,
                            int64_t width) {
  if (bytes.size(2) == height && bytes.size(3) == width) return bytes;
  const std::vector<int64_t> size = {height, width};
  return at::upsample_bilinear2d(bytes, size, /*align_corners=*/false).round();
}

}  // namespace rsm
