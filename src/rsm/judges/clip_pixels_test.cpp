#include "rsm/judges/clip_pixels.h"

#include <gtest/gtest.h>

#include "rsm/base/error.h"
#include "rsm/base/testing.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/models/testing.h"
#include "rsm/rewards/gradient_testing.h"

namespace rsm {
namespace {

/** The largest difference of two. */
double gap(const torch::Tensor& a, const torch::Tensor& b) {
  return a.sizes() == b.sizes() ? (a - b).abs().max().item<double>() : 1e30;
}

TEST(ClipPixels, AreThoseOfPilAndOfClipsProcessor) {
  const TemporaryFolder out;
  run_python("clip_pixels_peer.py", out.path());
  const auto peer = read_safetensors(out / "peer.safetensors").tensors;
  int64_t pictures = 0;
  for (const auto& [name, image] : peer) {
    if (!name.starts_with("image.")) continue;
    ++pictures;
    SCOPED_TRACE(name);
    const std::string which = name.substr(name.find('.'));
    for (const int64_t size : {16, 21}) {
      const std::string key = cat(which, ".", size);
      const auto crop = clip_pixels(image.unsqueeze(0), size, ClipFit::crop);
      const auto pad = clip_pixels(image.unsqueeze(0), size, ClipFit::pad);
      // PIL's BICUBIC in floating point, and PyTorch's with antialiasing.
      EXPECT_LT(gap(crop[0], peer.at("crop" + key)), 1e-4);
      EXPECT_LT(gap(pad[0], peer.at("pad" + key)), 1e-4);
      EXPECT_LT(gap(crop[0], peer.at("torch" + key)), 1e-4);
      // CLIP's processor rounds to bytes after each direction: two halves of
      // 1/255, the first by weights whose sizes add up to 1.3 at most, over
      // the smallest deviation.
      EXPECT_LT(gap(crop[0], peer.at("processor" + key)),
                (0.5 + 0.5 * 1.3) / 255 / 0.26);
      EXPECT_LT(gap(pad[0], peer.at("bytes" + key)),
                (0.5 + 0.5 * 1.3) / 255 / 0.26);
    }
  }
  EXPECT_EQ(pictures, 6);
}

TEST(ClipPixels, ASquareIsNeitherPaddedNorCropped) {
  const auto images = test_normal(1, {2, 3, 64, 64}).sigmoid();
  EXPECT_TRUE(clip_pixels(images, 28, ClipFit::pad)
                  .equal(clip_pixels(images, 28, ClipFit::crop)));
}

class ClipPixelsOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(ClipPixelsOn);

TEST_P(ClipPixelsOn, HaveAGradient) {
  for (const auto fit : {ClipFit::crop, ClipFit::pad}) {
    const auto images = test_normal(2, {2, 3, 19, 14}).sigmoid();
    const auto weights = test_normal(3, {2, 3, 8, 8});
    const auto value = [&](const torch::Tensor& x) {
      return (clip_pixels(x.to(device()), 8, fit).cpu() * weights)
          .sum({1, 2, 3});
    };
    const auto leaf = images.clone().requires_grad_(true);
    value(leaf).sum().backward();
    // It is linear: differences of float32 are all that is off.
    EXPECT_LT(slope_error(value, images, leaf.grad(), 0.1), 1e-4);
  }
}

TEST(ClipPixels, RefuseWhatIsNoPicture) {
  for (const auto& wrong :
       {at::zeros({2, 4, 8, 8}), at::zeros({3, 8, 8}), at::zeros({1, 3, 0, 8}),
        at::zeros({1, 3, 8, 8}, at::kByte)}) {
    expect_parts(error_of([&] { clip_pixels(wrong, 8, ClipFit::crop); }),
                 {"[clip_pixels]", "[B,3,H,W]"});
  }
}

}  // namespace
}  // namespace rsm
