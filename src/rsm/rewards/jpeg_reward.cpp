#include "rsm/rewards/jpeg_reward.h"

#include <ATen/Parallel.h>

#include <array>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>

// Needs size_t and FILE declared before it.
#include <jpeglib.h>

#include "rsm/base/error.h"
#include "rsm/io/image.h"

namespace rsm {
namespace {

constexpr int kQuality = 95;               // DDPO's
constexpr double kBytesOfKilobyte = 1000;  // DDPO's

/** libjpeg's compressor and the file it writes in memory. libjpeg reports an
 * error by a call that must not return: it jumps back into encode(). */
class JpegEncoder {
 public:
  JpegEncoder() {
    state_.err = jpeg_std_error(&errors_);
    state_.client_data = this;
    errors_.error_exit = [](j_common_ptr state) {
      auto* self = static_cast<JpegEncoder*>(state->client_data);
      state->err->format_message(state, self->message_.data());
      std::longjmp(self->on_error_, 1);
    };
  }
  JpegEncoder(const JpegEncoder&) = delete;
  JpegEncoder& operator=(const JpegEncoder&) = delete;
  ~JpegEncoder() {
    jpeg_destroy_compress(&state_);
    std::free(bytes_);
  }

  /** Whether it worked; message() says why not. Nothing in here may have a
   * destructor: the jump would pass it by. */
  bool encode(const unsigned char* pixels, JDIMENSION height, JDIMENSION width,
              int quality) {
    if (setjmp(on_error_) != 0) {
      bytes_ = nullptr;  // libjpeg may have moved it: lost, not freed twice
      return false;
    }
    jpeg_create_compress(&state_);
    jpeg_mem_dest(&state_, &bytes_, &size_);
    state_.image_height = height;
    state_.image_width = width;
    state_.input_components = 3;
    state_.in_color_space = JCS_RGB;
    jpeg_set_defaults(&state_);
    jpeg_set_quality(&state_, quality, TRUE);
    jpeg_start_compress(&state_, TRUE);
    while (state_.next_scanline < height) {
      // libjpeg's interface has no const; it only reads.
      auto* row = const_cast<JSAMPLE*>(
          pixels + static_cast<size_t>(state_.next_scanline) * width * 3);
      jpeg_write_scanlines(&state_, &row, 1);
    }
    jpeg_finish_compress(&state_);
    return true;
  }

  std::string bytes() const {
    return {reinterpret_cast<const char*>(bytes_), size_};
  }
  const char* message() const { return message_.data(); }

 private:
  jpeg_compress_struct state_{};
  jpeg_error_mgr errors_{};
  std::jmp_buf on_error_;
  std::array<char, JMSG_LENGTH_MAX> message_{};
  unsigned char* bytes_ = nullptr;
  unsigned long size_ = 0;
};

class JpegReward : public Reward {
 public:
  JpegReward(std::string name, double sign)
      : name_(std::move(name)), sign_(sign) {}

  std::string name() const override { return name_; }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    check_pictures(cat("reward ", name_), images, prompts);
    const torch::Tensor pixels = picture_bytes(images);
    const int64_t count = images.size(0);
    const torch::Tensor kilobytes = torch::empty({count}, torch::kFloat32);
    float* out = kilobytes.data_ptr<float>();
    at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto size = encode_jpeg(pixels[i], kQuality).size();
        out[i] =
            static_cast<float>(static_cast<double>(size) / kBytesOfKilobyte);
      }
    });
    return {kilobytes * sign_, {{"kilobytes", kilobytes}}};
  }

 private:
  std::string name_;
  double sign_;
};

}  // namespace

std::string encode_jpeg(const torch::Tensor& pixels, int quality) {
  RSM_CHECK(pixels.dim() == 3 && pixels.size(2) == 3 && pixels.numel() > 0 &&
                pixels.scalar_type() == torch::kUInt8 &&
                pixels.is_contiguous() && pixels.device().is_cpu(),
            "[jpeg] got an image ", pixels.sizes(), " of ",
            pixels.scalar_type(),
            "; allowed: [H,W,3] uint8, contiguous on the CPU");
  RSM_CHECK(quality >= 1 && quality <= 100, "[jpeg] got quality ", quality,
            "; allowed: 1 to 100");
  JpegEncoder encoder;
  RSM_CHECK(encoder.encode(pixels.const_data_ptr<uint8_t>(),
                           static_cast<JDIMENSION>(pixels.size(0)),
                           static_cast<JDIMENSION>(pixels.size(1)), quality),
            "[jpeg] cannot encode an image ", pixels.sizes(), ": ",
            encoder.message());
  return encoder.bytes();
}

std::unique_ptr<Reward> make_jpeg_compressibility() {
  return std::make_unique<JpegReward>("jpeg-compressibility", -1);
}

std::unique_ptr<Reward> make_jpeg_incompressibility() {
  return std::make_unique<JpegReward>("jpeg-incompressibility", 1);
}

}  // namespace rsm
