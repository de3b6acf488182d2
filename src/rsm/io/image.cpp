#include "rsm/io/image.h"

#include <png.h>

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/io/files.h"

namespace rsm {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 28;
constexpr uint64_t kMaxBytes = uint64_t{1} << 30;  ///< of a file

/** libpng's descriptor of a picture, freed at the end. */
struct Descriptor {
  png_image image{};

  Descriptor() {
    image.version = PNG_IMAGE_VERSION;
    image.format = PNG_FORMAT_RGB;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { png_image_free(&image); }
};

bool holds_colours(const torch::Tensor& images) {
  return images.scalar_type() == torch::kUInt8 ||
         torch::isFloatingType(images.scalar_type());
}

/** [3,H,W] float or uint8 -> [H,W,3] uint8, contiguous on the CPU. */
torch::Tensor interleaved_bytes(const torch::Tensor& image) {
  RSM_CHECK(image.defined() && image.dim() == 3 && image.size(0) == 3 &&
                image.numel() > 0 && holds_colours(image),
            "[png] got an image ",
            image.defined() ? cat(image.sizes(), " of ", image.scalar_type())
                            : "undefined",
            "; allowed: [3,H,W], float in [0,1] or uint8");
  const auto own = image.detach().cpu();
  if (own.scalar_type() == torch::kUInt8) {
    return own.permute({1, 2, 0}).contiguous();
  }
  const auto values = own.to(torch::kFloat32);
  RSM_CHECK(!values.isnan().any().item<bool>(),
            "[png] the image has NaN; allowed: numbers in [0,1]");
  return picture_bytes(values.unsqueeze(0))[0];
}

}  // namespace

torch::Tensor picture_bytes(const torch::Tensor& images) {
  return (images.detach().clamp(0, 1) * 255)
      .round()
      .to(torch::kUInt8)
      .permute({0, 2, 3, 1})
      .contiguous();
}

std::string encode_png(const torch::Tensor& image) {
  const auto bytes = interleaved_bytes(image);
  RSM_CHECK(bytes.size(0) * bytes.size(1) <= kMaxPixels, "[png] got an image ",
            image.sizes(), "; at most ", kMaxPixels, " pixels are allowed");
  Descriptor png;
  png.image.height = static_cast<png_uint_32>(bytes.size(0));
  png.image.width = static_cast<png_uint_32>(bytes.size(1));
  std::string out(PNG_IMAGE_PNG_SIZE_MAX(png.image), '\0');
  png_alloc_size_t size = out.size();
  const int written =
      png_image_write_to_memory(&png.image, out.data(), &size,
                                /*convert_to_8_bit=*/0, bytes.data_ptr(),
                                /*row_stride=*/0, /*colormap=*/nullptr);
  RSM_CHECK(written != 0, "[png] cannot encode an image ", image.sizes(), ": ",
            png.image.message);
  out.resize(size);
  return out;
}

void write_png(const std::string& path, const torch::Tensor& image,
               const PngTexts& texts) {
  write_file_atomic(path, with_png_texts(encode_png(image), texts));
}

torch::Tensor read_png(const std::string& path) {
  const std::string file = read_file(path, kMaxBytes);
  Descriptor png;
  RSM_CHECK(png_image_begin_read_from_memory(&png.image, file.data(),
                                             file.size()) != 0,
            "[png] cannot read ", path, ": ", png.image.message);
  const auto height = static_cast<int64_t>(png.image.height);
  const auto width = static_cast<int64_t>(png.image.width);
  RSM_CHECK(height <= kMaxPixels / width, "[png] ", path, " is ", width, " x ",
            height, "; at most ", kMaxPixels, " pixels are allowed");
  png.image.format = PNG_FORMAT_RGB;
  // A file's 16 bits are of the same scale as 8, not linear light.
  png.image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  const png_color white = {255, 255, 255};
  auto bytes = torch::empty({height, width, 3}, torch::kUInt8);
  RSM_CHECK(png_image_finish_read(&png.image, &white, bytes.data_ptr(),
                                  /*row_stride=*/0, /*colormap=*/nullptr) != 0,
            "[png] cannot read ", path, ": ", png.image.message);
  return bytes.permute({2, 0, 1}).contiguous();
}

torch::Tensor image_grid(const torch::Tensor& images, int64_t columns,
                         int64_t gap, int64_t zoom) {
  RSM_CHECK(images.dim() == 4 && images.size(1) == 3 && images.numel() > 0 &&
                holds_colours(images),
            "[image_grid] got images ", images.sizes(), " of ",
            images.scalar_type(), "; allowed: [B,3,H,W], float or uint8");
  RSM_CHECK(columns >= 1 && gap >= 0 && zoom >= 1, "[image_grid] got columns ",
            columns, ", gap ", gap, ", zoom ", zoom,
            "; allowed: columns >= 1, gap >= 0, zoom >= 1");
  const auto tiles =
      images.detach().cpu().repeat_interleave(zoom, 2).repeat_interleave(zoom,
                                                                         3);
  const int64_t count = tiles.size(0);
  const int64_t height = tiles.size(2), width = tiles.size(3);
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  const double white = tiles.scalar_type() == torch::kUInt8 ? 255 : 1;
  auto grid = torch::full(
      {3, rows * (height + gap) - gap, columns * (width + gap) - gap}, white,
      tiles.options());
  for (int64_t i = 0; i < count; ++i) {
    const int64_t top = i / columns * (height + gap);
    const int64_t left = i % columns * (width + gap);
    grid.narrow(1, top, height).narrow(2, left, width).copy_(tiles[i]);
  }
  return grid;
}

}  // namespace rsm
