#include "rsm/judges/affine_head.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** The numbers of a .npy file of float32, version 1. */
torch::Tensor read_numbers(const std::string& path) {
  const std::string bytes = read_file(path);
  uint16_t header = 0;
  std::memcpy(&header, bytes.data() + 8, sizeof header);
  const size_t begin = 10 + header;
  EXPECT_NE(bytes.find("'<f4'"), std::string::npos) << path;
  const auto out =
      at::empty({static_cast<int64_t>((bytes.size() - begin) / sizeof(float))});
  std::memcpy(out.data_ptr<float>(), bytes.data() + begin,
              bytes.size() - begin);
  return out;
}

/** Ratings of LAION's mean embeddings of pictures rated 0 to 9. */
TEST(AffineHead, PublishedOnesRateLaionsMeansInTheirOrder) {
  const char* assets = std::getenv("RSM_ASSETS");
  const std::string folder = cat(assets ? assets : "", "/aesthetic/");
  if (!fs::exists(folder)) GTEST_SKIP() << "no $RSM_ASSETS/aesthetic";
  std::vector<torch::Tensor> means;
  for (int i = 0; i < 10; ++i) {
    means.push_back(
        read_numbers(cat(folder, "vit_l_14_embeddings/rating", i, ".npy")));
  }
  const auto embeddings = at::stack(means);
  EXPECT_LT((embeddings.norm(2, {1}) - 1).abs().max().item<double>(), 1e-3);
  struct {
    const char* file;
    double first, last;
  } const heads[] = {{"sac+logos+ava1-l14-linearMSE", 1.65548, 5.74676},
                     {"sa_0_4_vit_l_14_linear", -2.45791, 11.30443}};
  for (const auto& [file, first, last] : heads) {
    const auto head = AffineHead::load(
        "test", cat(folder, file, ".safetensors"), 768, at::kCPU);
    const auto ratings = head(embeddings);
    EXPECT_TRUE((ratings.diff() > 0).all().item<bool>()) << ratings;
    // NumPy's of these files in double, to five digits; float32 rounds less.
    EXPECT_NEAR(ratings[0].item<double>(), first, 2e-5) << file;
    EXPECT_NEAR(ratings[9].item<double>(), last, 2e-5) << file;
  }
}

TEST(AffineHead, RefusesOtherTensors) {
  const TemporaryFolder folder;
  const auto error = [&](const StateDict& tensors) {
    write_safetensors(folder / "h.safetensors", tensors);
    return error_of([&] {
      AffineHead::load("test", folder / "h.safetensors", 4, at::kCPU);
    });
  };
  const auto row = at::zeros({1, 4}), one = at::zeros({1});
  expect_parts(error({{"weight", row}}), {"1 tensors", "layers.N.weight"});
  expect_parts(error({{"weight", row}, {"other", one}}),
               {"weight is [1, 4]", "bias of [N]"});
  expect_parts(error({{"weight", row}, {"bias", one}, {"other", one}}),
               {"3 tensors"});
  expect_parts(error({{"weight", at::zeros({2, 4})}, {"bias", at::zeros({2})}}),
               {"gives 2 numbers"});
  expect_parts(error({{"layers.0.weight", at::zeros({3, 4})},
                      {"layers.0.bias", at::zeros({3})},
                      {"layers.2.weight", row},
                      {"layers.2.bias", one}}),
               {"layers.2.weight is [1, 4]", "[N,3]"});
  expect_parts(
      error_of([&] { AffineHead::load("test", "head.pth", 4, at::kCPU); }),
      {"head.pth is a pickle", "head.safetensors"});
}

}  // namespace
}  // namespace rsm
