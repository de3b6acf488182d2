#include "rsm/rewards/jpeg_reward.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "rsm/io/image.h"
#include "rsm/rewards/testing.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

/** [3,H,W], rising to the right and downwards, each colour otherwise. */
torch::Tensor gradient(int64_t height, int64_t width) {
  const auto down = torch::linspace(0, 1, height).reshape({height, 1});
  const auto right = torch::linspace(0, 1, width).reshape({1, width});
  return torch::stack({(down + right) / 2, (down * right).sqrt(),
                       (1 - down).expand({height, width})});
}

/** [3,H,W], also outside of [0,1]. */
torch::Tensor noise(uint64_t seed, int64_t height, int64_t width) {
  return 0.5 + 0.3 * counted_normal(seed, {3, height, width});
}

/** 100 pictures: renders, gradients and noise, of even and odd sizes. */
std::vector<torch::Tensor> hundred_pictures() {
  const auto renders = shapes::captioned_images(31, 0, 40, 0).images;
  std::vector<torch::Tensor> pictures;
  for (int64_t i = 0; i < 40; ++i) {
    pictures.push_back((renders[i] + 1) / 2);
  }
  for (int64_t i = 0; i < 10; ++i) {
    pictures.push_back((renders[i] + 1) / 2 + noise(i, 32, 32) - 0.5);
  }
  // Around the 8 x 8 of a block and the 16 x 16 that share a colour.
  const std::vector<int64_t> sizes = {1, 7, 15, 16, 33};
  for (const int64_t height : sizes) {
    for (const int64_t width : sizes) {
      pictures.push_back(gradient(height, width));
      pictures.push_back(noise(height * 100 + width, height, width));
    }
  }
  return pictures;
}

double kilobytes(const torch::Tensor& image) {
  return static_cast<double>(
             encode_jpeg(picture_bytes(image.unsqueeze(0))[0], 95).size()) /
         1000;
}

TEST(JpegReward, WritesTheBytesOfPil) {
  const TemporaryFolder folder;
  const auto pictures = hundred_pictures();
  ASSERT_EQ(pictures.size(), 100u);
  const auto path = [&](size_t i, const char* end) {
    return folder / (std::to_string(i) + end);
  };
  for (size_t i = 0; i < pictures.size(); ++i) {
    write_png(path(i, ".png"), pictures[i]);
  }
  run_python("jpeg_peer.py", folder.path());
  const auto compress = make_jpeg_compressibility();
  const auto expand = make_jpeg_incompressibility();
  for (size_t i = 0; i < pictures.size(); ++i) {
    const auto image = pictures[i].unsqueeze(0);
    const std::string peer = read_file(path(i, ".jpg"));
    const std::string ours = encode_jpeg(picture_bytes(image)[0], 95);
    EXPECT_EQ(ours.size(), peer.size()) << "picture " << i;
    EXPECT_TRUE(ours == peer) << "picture " << i;
    const auto scores = compress->score(image, {{0, "", ""}});
    const auto size =
        static_cast<float>(static_cast<double>(peer.size()) / 1000);
    EXPECT_EQ(scores.value[0].item<float>(), -size) << "picture " << i;
    EXPECT_EQ(scores.metrics.at("kilobytes")[0].item<float>(), size);
    EXPECT_EQ(expand->score(image, {{0, "", ""}}).value[0].item<float>(), size);
  }
}

TEST(JpegReward, DoesNotDependOnTheBatch) {
  expect_each_picture_alone(*make_jpeg_compressibility(),
                            test_pictures(20, 24, 17));
}

TEST(JpegReward, PrefersPlainPictures) {
  const auto render = (shapes::captioned_images(31, 0, 1, 0).images[0] + 1) / 2;
  const auto flat = torch::full({3, 32, 32}, 0.5f);
  EXPECT_LT(kilobytes(flat), kilobytes(render));
  EXPECT_LT(kilobytes(render), kilobytes(noise(1, 32, 32)));
}

TEST(JpegReward, RefusesWhatItCannotJudge) {
  const auto reward = make_jpeg_compressibility();
  const auto error_for = [&](const torch::Tensor& images) {
    return error_of([&] { reward->score(images, {{0, "a dog", ""}}); });
  };
  const auto gray = torch::full({1, 3, 8, 8}, 0.5f);
  expect_parts(error_for(gray * std::numeric_limits<float>::quiet_NaN()),
               {"[reward jpeg-compressibility]", "image 0", "a dog", "NaN"});
  expect_parts(error_for(gray.slice(1, 0, 2)), {"[1, 2, 8, 8]", "[B,3,H,W]"});
  expect_parts(error_for(gray.slice(2, 0, 0)), {"[1, 3, 0, 8]"});
  expect_parts(error_for(gray.to(torch::kFloat64)), {"float32"});
  expect_parts(error_for(torch::cat({gray, gray})), {"2 images", "1 prompts"});
  EXPECT_EQ(reward->score(gray.slice(0, 0, 0), {}).value.size(0), 0);
}

TEST(JpegReward, TooLargeOrWrongPicturesAreNamed) {
  const auto error_for = [](const torch::Tensor& pixels, int quality) {
    return error_of([&] { encode_jpeg(pixels, quality); });
  };
  const auto bytes = [](int64_t height, int64_t width) {
    return torch::zeros({height, width, 3}, torch::kUInt8);
  };
  // libjpeg's own limit, reported by its own words.
  expect_parts(error_for(bytes(1, 65501), 95), {"[1, 65501, 3]", "65500"});
  EXPECT_FALSE(encode_jpeg(bytes(1, 65500), 95).empty());
  expect_parts(error_for(bytes(4, 4).to(torch::kFloat32), 95), {"Float"});
  expect_parts(error_for(bytes(4, 4).permute({2, 0, 1}), 95), {"[3, 4, 4]"});
  expect_parts(error_for(bytes(4, 4), 0), {"quality 0", "1 to 100"});
}

}  // namespace
}  // namespace rsm
