// NIQE and BRISQUE, and the statistics that they are made of.

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/data/brisque.h"
#include "rsm/data/niqe.h"
#include "rsm/data/scene_statistics.h"
#include "rsm/io/files.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** The folder with both models' parameters; "" without. */
std::string assets() {
  const char* folder = std::getenv("RSM_ASSETS");
  const std::string found = folder == nullptr ? "" : folder;
  return !found.empty() && fs::exists(found + "/iqa") ? found : "";
}

/** [3,H,W] grey noise around the middle. */
torch::Tensor noise(uint64_t seed, int64_t side, double deviation) {
  return (0.5 + deviation * counted_normal(seed, {1, side, side}))
      .clamp(0, 1)
      .expand({3, side, side})
      .contiguous();
}

torch::Tensor flat(int64_t side) { return at::full({3, side, side}, 0.4); }

TEST(Quality, IsThatOfTheReleases) {
  const TemporaryFolder out;
  const std::string iqa = assets();
  run_python("quality_peer.py",
             "'" + out.path() + "'" + (iqa.empty() ? "" : " '" + iqa + "'"));
  const auto peer = read_safetensors(out / "peer.safetensors").tensors;
  for (int64_t i = 0; i < 3; ++i) {
    SCOPED_TRACE(i);
    const auto of = [&](const std::string& name) {
      return peer.at(cat(name, ".", i));
    };
    // A shape may be its neighbour on a grid of 0.001.
    EXPECT_TRUE(at::allclose(niqe_features(of("image")), of("niqe"), 0, 2e-3));
    EXPECT_TRUE(
        at::allclose(brisque_features(of("image")), of("brisque"), 0, 2e-3));
    if (iqa.empty()) continue;
    const Niqe niqe(iqa + "/iqa/niqe_image_params.mat");
    const Brisque brisque(iqa + "/iqa/brisque_model_live.yml");
    EXPECT_NEAR(niqe.of(of("image")), of("niqe_score").item<double>(), 1e-3);
    EXPECT_NEAR(brisque.of(of("image")), of("brisque_score").item<double>(),
                1e-3);
  }
  if (iqa.empty()) GTEST_SKIP() << "RSM_ASSETS has no iqa: features alone";
}

TEST(SceneStatistics, FitsAreThoseOfKnownDensities) {
  // Errors of moments of a million numbers are a few thousandths.
  constexpr int64_t kMany = 1000000;
  const auto gauss = counted_normal(1, {1, kMany}).to(at::kDouble);
  const auto known = fit_asymmetric_gaussian(gauss);
  EXPECT_NEAR(known.shape.item<double>(), 2, 0.02);
  EXPECT_NEAR(known.left.item<double>(), 1, 0.01);
  EXPECT_NEAR(known.right.item<double>(), 1, 0.01);
  EXPECT_NEAR(known.scale_factor().item<double>(), std::sqrt(2.0), 0.01);
  EXPECT_NEAR(known.mean().item<double>(), 0, 0.01);
  // Twice as wide above: an asymmetric Gaussian, whose halves have shares as
  // their widths.
  const auto pick = counted_normal(2, {1, kMany}).to(at::kDouble);
  const auto above = pick > -0.430727;  // of probability 2/3
  const auto two = at::where(above, 2 * gauss.abs(), -gauss.abs());
  const auto other = fit_asymmetric_gaussian(two);
  EXPECT_NEAR(other.shape.item<double>(), 2, 0.02);
  EXPECT_NEAR(other.right.item<double>() / other.left.item<double>(), 2, 0.02);
  EXPECT_NEAR(other.mean().item<double>(), two.mean().item<double>(), 0.01);
  // The difference of two exponentials is Laplace's, of shape 1.
  const auto laplace = (counted_normal(3, {1, kMany}).to(at::kDouble).square() +
                        counted_normal(4, {1, kMany}).to(at::kDouble).square() -
                        counted_normal(5, {1, kMany}).to(at::kDouble).square() -
                        counted_normal(6, {1, kMany}).to(at::kDouble).square());
  EXPECT_NEAR(fit_asymmetric_gaussian(laplace).shape.item<double>(), 1, 0.02);
}

TEST(SceneStatistics, RowsAreFittedAlone) {
  const auto rows = counted_normal(7, {3, 500}).to(at::kDouble);
  const auto all = fit_asymmetric_gaussian(rows);
  for (int64_t i = 0; i < 3; ++i) {
    const auto one = fit_asymmetric_gaussian(rows.slice(0, i, i + 1));
    EXPECT_EQ(all.shape[i].item<double>(), one.shape.item<double>());
    EXPECT_NEAR(all.left[i].item<double>(), one.left.item<double>(), 1e-12);
  }
  const auto none = fit_asymmetric_gaussian(at::zeros({1, 9}, at::kDouble));
  EXPECT_TRUE(std::isnan(none.shape.item<double>()));
}

TEST(SceneStatistics, ContrastDoesNotDependOnBrightnessOrStrength) {
  const auto grey = 255 * noise(8, 32, 0.2)[0].to(at::kDouble);
  const auto as_it_is = contrast_normalised(grey, 0);
  EXPECT_TRUE(
      at::allclose(contrast_normalised(3 * grey + 40, 0), as_it_is, 0, 1e-6));
  EXPECT_NEAR(contrast_normalised(flat(16)[0].to(at::kDouble), 1)
                  .abs()
                  .max()
                  .item<double>(),
              0, 1e-12);
  EXPECT_EQ(grey_bytes(flat(4)).max().item<double>(), 102);
  EXPECT_THROW(grey_bytes(at::zeros({1, 4, 4})), Error);
}

TEST(Quality, OfFlatOrSmallPicturesIsNotKnown) {
  EXPECT_EQ(niqe_features(noise(1, 95, 0.1)).size(0), 0);
  EXPECT_EQ(niqe_features(noise(1, 200, 0.1)).size(0), 4);
  EXPECT_FALSE(niqe_features(flat(96)).isfinite().all().item<bool>());
  EXPECT_FALSE(brisque_features(flat(32)).isfinite().all().item<bool>());
  EXPECT_THROW(brisque_features(at::zeros({3, 1, 8})), Error);
  if (assets().empty()) GTEST_SKIP() << "RSM_ASSETS has no iqa";
  const Niqe niqe(assets() + "/iqa/niqe_image_params.mat");
  EXPECT_TRUE(std::isnan(niqe.of(flat(192))));
  EXPECT_TRUE(std::isnan(niqe.of(noise(1, 100, 0.1))));  // one block
  const Brisque brisque(assets() + "/iqa/brisque_model_live.yml");
  EXPECT_TRUE(std::isnan(brisque.of(flat(64))));
}

TEST(Quality, FilesThatAreNotTheirsAreNamed) {
  const TemporaryFolder folder;
  const std::string file = folder / "model";
  expect_parts(error_of([&] { Niqe niqe(file); }), {file});
  expect_parts(error_of([&] { Brisque brisque(file); }), {file});
  write_file_atomic(file, "hello");
  expect_parts(error_of([&] { Niqe niqe(file); }), {"[mat]", file, "MATLAB 5"});
  expect_parts(error_of([&] { Brisque brisque(file); }),
               {"[brisque]", file, "gamma"});
  write_file_atomic(file,
                    "gamma: 0.5\nvar_count: 36\nsv_total: 1\n"
                    "support_vectors:\n - [ 1., 2. ]\n");
  expect_parts(error_of([&] { Brisque brisque(file); }),
               {file, "2 numbers where 36"});
}

TEST(Brisque, IsARadialRegression) {
  // One support vector, at the features themselves: its weight less rho.
  const TemporaryFolder folder;
  const auto picture = noise(3, 48, 0.1);
  const auto features = brisque_features(picture);
  ASSERT_TRUE(features.isfinite().all().item<bool>());
  std::vector<std::string> zeros(36, "0."), low, high;
  for (int64_t f = 0; f < 36; ++f) {
    const double value = features[f].item<double>();
    low.push_back(std::to_string(value - 2));
    high.push_back(std::to_string(value + 2));
  }
  const auto write = [&](double weight, double rho) {
    write_file_atomic(folder / "model.yml",
                      cat("gamma: 5.0e-02\nvar_count: 36\nsv_total: 1\n"
                          "support_vectors:\n   - [ ",
                          join(zeros),
                          " ]\ndecision_functions:\n   -\n"
                          "      sv_count: 1\n      rho: ",
                          rho, "\n      alpha: [ ", weight, " ]\n"));
    write_file_atomic(folder / "brisque_range_live.yml",
                      cat("range:\n   data: [ ", join(low), ",\n       ",
                          join(high), " ]\n"));
    return Brisque(folder / "model.yml").of(picture);
  };
  EXPECT_NEAR(write(40, -2.5), 42.5, 1e-3);  // texts of six digits
  EXPECT_EQ(write(40, 50), 0);
  EXPECT_EQ(write(140, 0), 100);
}

}  // namespace
}  // namespace rsm
