#include "rsm/io/mat_file.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

std::string word(uint32_t value) {
  std::string out(4, '\0');
  std::memcpy(out.data(), &value, 4);
  return out;
}

std::string element(uint32_t type, std::string data) {
  const auto size = static_cast<uint32_t>(data.size());
  data.resize((data.size() + 7) / 8 * 8);
  return word(type) + word(size) + data;
}

std::string doubles(const std::vector<double>& numbers) {
  std::string out(numbers.size() * 8, '\0');
  std::memcpy(out.data(), numbers.data(), out.size());
  return out;
}

std::string header() {
  std::string out = "MATLAB 5.0 MAT-file, written by hand";
  out.resize(124, ' ');
  return out + std::string("\x00\x01IM", 4);
}

std::string matrix(const std::string& name, uint32_t kind, uint32_t rows,
                   uint32_t columns, const std::vector<double>& numbers) {
  // Names of four bytes at most stand within their tag.
  std::string named = element(1, name);
  if (name.size() <= 4) {
    named = word(1 | static_cast<uint32_t>(name.size()) << 16) + name;
    named.resize(8);
  }
  return element(14, element(6, word(kind) + word(0)) +
                         element(5, word(rows) + word(columns)) + named +
                         element(9, doubles(numbers)));
}

std::map<std::string, torch::Tensor> read(const std::string& bytes) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "a.mat", bytes);
  return read_mat(folder / "a.mat");
}

TEST(MatFile, HasMatricesByName) {
  // Numbers stand column by column. An array of another class is passed over.
  const auto found = read(header() + matrix("other", 4, 1, 1, {7}) +
                          matrix("long_name", 6, 2, 3, {1, 2, 3, 4, 5, 6}) +
                          matrix("ab", 6, 1, 2, {-0.5, 8}));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_TRUE(found.at("long_name")
                  .equal(torch::tensor({{1.0, 3.0, 5.0}, {2.0, 4.0, 6.0}},
                                       at::kDouble)));
  EXPECT_TRUE(found.at("ab").equal(torch::tensor({{-0.5, 8.0}}, at::kDouble)));
}

TEST(MatFile, WhatCannotBeReadIsSaid) {
  const auto error = [](const std::string& bytes) {
    return error_of([&] { read(bytes); });
  };
  expect_parts(error("hello"), {"[mat]", "a.mat", "no little-endian MATLAB 5"});
  expect_parts(error(header() + element(15, "12345678")),
               {"compressed", "do_compression=False"});
  const auto whole = header() + matrix("m", 6, 1, 2, {1, 2});
  expect_parts(error(whole.substr(0, whole.size() - 8)), {"cut off"});
  expect_parts(error(header() + "abc"), {"cut off"});
  expect_parts(error(header() + matrix("m", 6, 2, 2, {1, 2})),
               {"m is 2 x 2 and has 2 numbers"});
}

TEST(MatFile, HoldsNiqesParameters) {
  const char* assets = std::getenv("RSM_ASSETS");
  const std::string file = std::string(assets == nullptr ? "" : assets) +
                           "/iqa/niqe_image_params.mat";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << "RSM_ASSETS has no iqa";
  const auto found = read_mat(file);
  EXPECT_EQ(found.at("pop_mu").numel(), 36);
  const auto& covariance = found.at("pop_cov");
  EXPECT_EQ(covariance.sizes(), (std::vector<int64_t>{36, 36}));
  EXPECT_TRUE(covariance.allclose(covariance.t()));
  EXPECT_NEAR(found.at("pop_mu").flatten()[0].item<double>(), 2.6, 0.1);
}

}  // namespace
}  // namespace rsm
