#include "rsm/judges/picture_features.h"

#include <gtest/gtest.h>

#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/base/testing.h"
#include "rsm/io/testing.h"
#include "rsm/judges/clip_pixels.h"
#include "rsm/judges/clip_towers.h"
#include "rsm/judges/picture_metrics.h"
#include "rsm/judges/script_testing.h"
#include "rsm/judges/testing.h"

namespace rsm {
namespace {

Prompts prompts_of(const std::vector<int64_t>& ids) {
  Prompts out;
  for (const int64_t id : ids) out.push_back({id, "a picture", ""});
  return out;
}

torch::Tensor unit_rows(uint64_t seed, int64_t count) {
  const auto rows = counted_normal(seed, {count, 6}).to(at::kFloat);
  return rows / rows.norm(2, {1}, true);
}

TEST(FeatureDiversity, IsTheMeanOverPairs) {
  const auto features = unit_rows(1, 7);
  const std::vector<int64_t> ids = {4, 9, 4, 4, 9, 2, 4};
  const auto found = feature_diversity(features, prompts_of(ids));
  for (size_t first = 0; first < ids.size(); ++first) {
    double sum = 0, squares = 0, pairs = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      for (size_t j = i + 1; j < ids.size(); ++j) {
        if (ids[i] != ids[first] || ids[j] != ids[first]) continue;
        const auto a = features[i].to(at::kDouble);
        const auto b = features[j].to(at::kDouble);
        sum += 1 - at::dot(a, b).item<double>();
        squares += (a - b).square().sum().item<double>();
        ++pairs;
      }
    }
    const bool is_first = first == 0 || first == 1;
    EXPECT_EQ(std::isnan(found[first]), !is_first) << first;
    if (!is_first) continue;
    EXPECT_NEAR(found[first], sum / pairs, 1e-6);          // float32
    EXPECT_NEAR(2 * found[first], squares / pairs, 1e-6);  // as FDFO tells it
  }
}

TEST(FeatureDiversity, OfTheSamePictureIsNothingAndOfOppositesTwo) {
  const auto one = unit_rows(2, 1);
  EXPECT_NEAR(
      feature_diversity(at::cat({one, one, one}), prompts_of({1, 1, 1}))[0], 0,
      1e-6);
  EXPECT_NEAR(feature_diversity(at::cat({one, -one}), prompts_of({1, 1}))[0], 2,
              1e-6);
  EXPECT_THROW(feature_diversity(one, prompts_of({1, 1})), Error);
}

class PictureFeaturesOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(PictureFeaturesOn);

TEST_P(PictureFeaturesOn, AreClipsAndOfEachPictureAlone) {
  const TemporaryFolder folder;
  write_small_clip(folder / "clip");
  const auto images =
      (counted_normal(3, {11, 3, 20, 16}) * 0.2 + 0.5).clamp(0, 1);
  const auto network = make_picture_features("test", folder / "clip", device());
  const auto found = network->of(images);
  const ClipTowers towers("test", folder / "clip",
                          {device(), torch::kFloat32, false});
  const torch::NoGradGuard no_grad;
  const auto expected = towers.image_features(
      clip_pixels(images.to(device()), towers.image_size(), ClipFit::crop));
  EXPECT_TRUE(found.allclose(expected.cpu(), 1e-4, 1e-5));
  EXPECT_TRUE(found.norm(2, {1}).allclose(at::ones({11}), 1e-5));
  if (repeats_its_bits()) {
    EXPECT_TRUE(
        network->of(images.slice(0, 9, 10)).equal(found.slice(0, 9, 10)));
  }
  EXPECT_EQ(network->of(images.slice(0, 0, 0)).size(0), 0);
}

/** Features that are a picture's mean red, green and blue. */
std::string write_script(const TemporaryFolder& folder,
                         const std::string& body) {
  return write_forward(
      folder / "features.pt",
      "def forward(self, images: Tensor) -> Tensor:\n  return " + body + "\n");
}

TEST_P(PictureFeaturesOn, AreAScriptsToo) {
  const TemporaryFolder folder;
  const auto file = write_script(folder, "images.mean([2, 3])");
  auto images = at::zeros({3, 3, 4, 4});
  images[0][0] += 0.5;
  images[1][0] += 1;
  images[2][2] += 0.25;
  const auto found = make_picture_features("test", file, device())->of(images);
  EXPECT_TRUE(found.allclose(
      torch::tensor({{1.f, 0.f, 0.f}, {1.f, 0.f, 0.f}, {0.f, 0.f, 1.f}})));
  EXPECT_NEAR(feature_diversity(found, prompts_of({1, 1, 1}))[0], 2.0 / 3,
              1e-6);
}

TEST(PictureFeatures, WhatAreNoneIsNamed) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& body) {
    const auto file = write_script(folder, body);
    return error_of([&] {
      make_picture_features("evaluation.features", file, torch::kCPU)
          ->of(at::zeros({2, 3, 4, 4}));
    });
  };
  expect_parts(error("images"), {"[evaluation.features]", "features.pt",
                                 "[8, 3, 4, 4]", "[B,F]"});
  expect_parts(error("images.mean([2, 3])"), {"all 0"});
  expect_parts(error_of([&] {
                 make_picture_features("evaluation.features",
                                       folder / "none.pt", torch::kCPU);
               }),
               {"evaluation.features", "none.pt"});
}

TEST(PictureMetrics, AreThoseWhoseFilesAreGiven) {
  const TemporaryFolder folder;
  PictureMetricPaths paths;
  EXPECT_TRUE(paths.given().empty());
  EXPECT_TRUE(paths.worse_if_more().empty());
  paths.features = write_script(folder, "images.mean([2, 3]) + 1");
  EXPECT_EQ(paths.given().size(), 1u);
  const PictureMetrics metrics(paths, torch::kCPU);
  const auto found = metrics.of(at::ones({2, 3, 4, 4}), prompts_of({1, 1}));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_NEAR(found.at("feature_diversity")[0], 0, 1e-6);
  paths.niqe = folder / "none.mat";
  EXPECT_EQ(paths.worse_if_more(), std::vector<std::string>{"niqe"});
  expect_parts(error_of([&] { PictureMetrics wrong(paths, torch::kCPU); }),
               {"none.mat"});
}

}  // namespace
}  // namespace rsm
