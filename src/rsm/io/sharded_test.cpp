#include "rsm/io/sharded.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

class Sharded : public testing::Test {
 protected:
  void SetUp() override {
    write_safetensors(folder_ / "m-1.safetensors",
                      {{"a", torch::ones(2)}, {"spare", torch::ones(1)}},
                      {{"format", "pt"}});
    write_safetensors(folder_ / "m-2.safetensors", {{"b", torch::zeros(3)}});
  }
  void write_index(const std::string& text,
                   const std::string& name = "m.safetensors.index.json") {
    write_file_atomic(folder_ / name, text);
  }
  void expect_both() {
    const auto file = view_sharded(folder_.path(), "m");
    ASSERT_EQ(file.tensors.size(), 2U);
    EXPECT_TRUE(file.tensors.at("a").equal(torch::ones(2)));
    EXPECT_TRUE(file.tensors.at("b").equal(torch::zeros(3)));
    EXPECT_EQ(file.metadata.at("format"), "pt");
    const TensorShapes shapes = {{"a", {2}}, {"b", {3}}};
    EXPECT_EQ(read_sharded_shapes(folder_.path(), "m"), shapes);
  }
  std::string error() {
    error_of([&] { read_sharded_shapes(folder_.path(), "m"); });
    return error_of([&] { view_sharded(folder_.path(), "m"); });
  }
  TemporaryFolder folder_;
};

constexpr const char* kIndexOfBoth =
    R"({"metadata": {"total_size": 20}, "weight_map":
    {"a": "m-1.safetensors", "b": "m-2.safetensors"}})";

TEST_F(Sharded, TensorsComeFromTheirShards) {
  write_index(kIndexOfBoth);
  expect_both();
}

TEST_F(Sharded, WithoutIndexTheFileItselfIsRead) {
  const auto file = view_sharded(folder_.path(), "m-2");
  ASSERT_EQ(file.tensors.size(), 1U);
  EXPECT_TRUE(file.tensors.at("b").equal(torch::zeros(3)));
}

TEST_F(Sharded, AVariantIsReadWhereThereIsNothingElse) {
  const std::string path = folder_ / "m.fp16.safetensors";
  write_safetensors(path, {{"a", torch::ones(2)}, {"b", torch::zeros(3)}},
                    {{"format", "pt"}});
  expect_both();
  fs::rename(path, folder_ / "m.non_ema.safetensors");
  expect_both();
  write_safetensors(path, {{"other", torch::ones(2)}});
  expect_parts(error(), {"several variants", "m.fp16.safetensors",
                         "m.non_ema.safetensors"});
  write_index(kIndexOfBoth);
  expect_both();
  fs::rename(folder_ / "m.safetensors.index.json",
             folder_ / "m.safetensors.index.fp16.json");
  expect_both();
}

TEST_F(Sharded, WhatLiesThereInsteadIsNamed) {
  expect_parts(error(), {folder_.path(), "no m.safetensors", "m-1.safetensors",
                         "m.safetensors.index.json"});
  fs::remove(folder_ / "m-1.safetensors");
  fs::remove(folder_ / "m-2.safetensors");
  expect_parts(error(), {"is nothing", "download"});
  write_file_atomic(folder_ / "m.bin", "x");
  expect_parts(error(), {"lie m.bin", "pickled", "safe_serialization=True"});
  fs::create_symlink("blobs/1234", folder_ / "m.safetensors");
  expect_parts(error(), {"m.safetensors is a link to blobs/1234", "not there"});
}

TEST_F(Sharded, MalformedIndexesAreNamed) {
  const auto index = folder_ / "m.safetensors.index.json";
  write_index("{\n  oops");
  expect_parts(error(), {index + ":2:3"});
  write_index("{}");
  expect_parts(error(), {index, "weight_map"});
  write_index(R"({"weight_map": {"a": 1}})");
  expect_parts(error(), {index, "weight_map.a"});
  for (const std::string shard : {"../m-1", "/m-1", "..", "", "a\\\\b"}) {
    write_index(R"({"weight_map": {"a": ")" + shard + "\"}}");
    expect_parts(error(), {index, "weight_map.a", "plain file name"});
  }
}

TEST_F(Sharded, WhatAShardLacksIsNamed) {
  write_index(R"({"weight_map": {"b": "m-1.safetensors"}})");
  expect_parts(error_of([&] { view_sharded(folder_.path(), "m"); }),
               {folder_ / "m-1.safetensors", " has no b"});
  write_index(R"({"weight_map": {"a": "m-1.safetensors",
                                 "b": "m-3.safetensors"}})");
  expect_parts(error(),
               {folder_.path(), "lacks 1 of 2 shards", "m-3.safetensors"});
  fs::create_symlink("gone", folder_ / "m-3.safetensors");
  expect_parts(error(), {"m-3.safetensors is a link to gone"});
}

}  // namespace
}  // namespace rsm
