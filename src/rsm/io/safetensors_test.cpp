#include "rsm/io/safetensors.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

/** The same tensors as tests/python/safetensors_peer.py makes. */
StateDict one_of_each_type() {
  const auto ramp = torch::arange(6, torch::kInt64);
  return {
      {"double", ramp.to(torch::kFloat64).reshape({2, 3}) / 3},
      {"float", ramp.to(torch::kFloat32).reshape({3, 2}) / 3},
      {"half", ramp.to(torch::kFloat16) / 3},
      {"brain", ramp.to(torch::kBFloat16) / 3},
      {"long", ramp - 3},
      {"int", (ramp - 3).to(torch::kInt32)},
      {"short", (ramp - 3).to(torch::kInt16)},
      {"char", (ramp - 3).to(torch::kInt8)},
      {"byte", (ramp + 250).to(torch::kUInt8)},
      {"bool", ramp.remainder(2) == 1},
      {"scalar", torch::tensor(2.5f)},
      {"empty", torch::zeros({0, 4})},
      {"zwölf \"12\"", torch::ones({1, 1, 1, 1})},
  };
}

void expect_same(const StateDict& actual, const StateDict& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(actual.count(name)) << name;
    EXPECT_EQ(actual.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(actual.at(name), tensor)) << name;
  }
}

std::string with_length(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(reinterpret_cast<const char*>(&length), sizeof(length));
  return bytes + header + data;
}

/** Error of reading a file of these bytes; checks that it names the file. */
std::string error_of_bytes(const std::string& bytes) {
  const TemporaryFolder folder;
  const auto path = folder / "bad.safetensors";
  write_file_atomic(path, bytes);
  const auto text = error_of([&] { read_safetensors(path); });
  expect_parts(text, {"[safetensors] ", path});
  return text;
}

std::string error_of_header(const std::string& header,
                            const std::string& data = std::string(8, '\0')) {
  return error_of_bytes(with_length(header, data));
}

TEST(Safetensors, ReadingGivesWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, one_of_each_type(), {{"format", "pt"}, {"é", ""}});
  const auto file = read_safetensors(path);
  expect_same(file.tensors, one_of_each_type());
  EXPECT_EQ(file.metadata.size(), 2u);
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(Safetensors, WritingGivesTheChecksumOfTheFile) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  for (const auto& tensors : {StateDict(), one_of_each_type()}) {
    const auto sum = write_safetensors(path, tensors);
    EXPECT_EQ(sum, file_checksum(path));
  }
}

TEST(Safetensors, ViewsAreTheBytesOfTheFileThatWasOpened) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, one_of_each_type());
  auto mapped = std::make_shared<const MappedFile>(path);
  const auto file = view_safetensors(mapped);
  const auto bytes = mapped->bytes();
  const auto* data = file.tensors.at("half").const_data_ptr<at::Half>();
  EXPECT_GE(static_cast<const void*>(data), bytes.data());
  EXPECT_LT(static_cast<const void*>(data), bytes.data() + bytes.size());
  mapped.reset();
  write_safetensors(path, {{"half", torch::zeros(6)}});
  expect_same(file.tensors, one_of_each_type());
}

// Other writers than ours put the data where their header happens to end.
TEST(Safetensors, DataMayBeginAnywhere) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  const std::vector<double> numbers = {0.5, -2};
  std::string header =
      R"({"w": {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}})";
  for (int i = 0; i < 8; ++i) {
    header += ' ';
    write_file_atomic(
        path,
        with_length(
            header,
            std::string(reinterpret_cast<const char*>(numbers.data()), 16)));
    const auto found = view_safetensors(path).tensors.at("w");
    EXPECT_TRUE(found.equal(torch::tensor(numbers, torch::kFloat64)));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(found.data_ptr()) % 8, 0u);
  }
}

TEST(Safetensors, NothingIsAFileToo) {
  const TemporaryFolder folder;
  write_safetensors(folder / "a.safetensors", {});
  EXPECT_TRUE(read_safetensors(folder / "a.safetensors").tensors.empty());
}

TEST(Safetensors, ViewsAreWrittenAsWhatTheyShow) {
  const TemporaryFolder folder;
  const auto whole = torch::arange(12, torch::kFloat32).reshape({3, 4});
  const StateDict views = {{"column", whole.select(1, 2)},
                           {"transposed", whole.t()},
                           {"expanded", whole.select(0, 0).expand({2, 4})},
                           {"trained", torch::ones(3).requires_grad_()}};
  write_safetensors(folder / "a.safetensors", views);
  expect_same(read_safetensors(folder / "a.safetensors").tensors, views);
}

TEST(Safetensors, DataIsAlignedAndHeaderPadded) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, {{"a", torch::ones(3, torch::kBool)},
                           {"b", torch::ones(1, torch::kFloat64)}});
  const auto bytes = read_file(path);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof(length));
  EXPECT_EQ(length % 8, 0u);
  const double one = 1;
  EXPECT_EQ(std::memcmp(bytes.data() + 8 + length, &one, sizeof(one)), 0);
  EXPECT_EQ(bytes.size(), 8 + length + 8 + 3);
}

TEST(Safetensors, PythonPackageWritesTheSameBytes) {
  const TemporaryFolder folder;
  const auto theirs = folder / "theirs.safetensors";
  run_python("safetensors_peer.py", "make " + theirs);
  const auto file = read_safetensors(theirs);
  expect_same(file.tensors, one_of_each_type());
  const auto ours = folder / "ours.safetensors";
  write_safetensors(ours, file.tensors, file.metadata);
  EXPECT_EQ(read_file(ours), read_file(theirs));
}

TEST(Safetensors, PythonPackageReadsOurs) {
  const TemporaryFolder folder;
  const auto ours = folder / "ours.safetensors";
  const auto again = folder / "again.safetensors";
  write_safetensors(ours, one_of_each_type(), {{"format", "pt"}});
  run_python("safetensors_peer.py", "rewrite " + ours + " " + again);
  expect_same(read_safetensors(again).tensors, one_of_each_type());
  EXPECT_EQ(read_safetensors(again).metadata.at("format"), "pt");
}

TEST(Safetensors, EveryTruncationIsNamed) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, {{"a", torch::ones(2)}, {"b", torch::ones(1)}});
  const auto bytes = read_file(path);
  for (size_t size = 0; size < bytes.size(); ++size) {
    expect_parts(error_of_bytes(bytes.substr(0, size)), {"truncated"});
  }
}

TEST(Safetensors, MalformedHeadersAreNamed) {
  expect_parts(error_of_bytes(std::string(16, '\xff')), {"at most 100000000"});
  expect_parts(error_of_header("{\"a\": "), {"header", "not valid JSON"});
  expect_parts(error_of_header(""), {"header", "not valid JSON"});
  expect_parts(error_of_header(std::string("{}\0{}", 5)),
               {"header", "not valid JSON"});
  expect_parts(error_of_header("[1]"), {"array", "object"});
  expect_parts(error_of_header("{\"a\": 3}"), {": a is 3", "object"});
  expect_parts(error_of_header(R"({"__metadata__": {"k": 1}})"),
               {"__metadata__.k is 1", "a text"});
  expect_parts(error_of_header(R"({"__metadata__": "k"})"), {"__metadata__"});
}

TEST(Safetensors, MalformedTensorsAreNamed) {
  const auto error = [](const std::string& type, const std::string& shape,
                        const std::string& offsets) {
    return error_of_header(cat(R"({"w": {"dtype": )", type, R"(, "shape": )",
                               shape, R"(, "data_offsets": )", offsets, "}}"));
  };
  expect_parts(error("\"F31\"", "[2]", "[0, 8]"), {": w.dtype", "F31", "F32"});
  expect_parts(error("32", "[2]", "[0, 8]"), {": w.dtype"});
  expect_parts(error("\"F32\"", "2", "[0, 8]"), {": w.shape"});
  expect_parts(error("\"F32\"", "[-2]", "[0, 8]"), {": w.shape", "-2"});
  expect_parts(error("\"F32\"", "[2.0]", "[0, 8]"), {": w.shape", "2.0"});
  expect_parts(error("\"F32\"", "[3]", "[0, 8]"),
               {": w.data_offsets is [0,8]", "12 bytes"});
  expect_parts(error("\"F32\"", "[2]", "[0]"), {": w.data_offsets"});
  expect_parts(error("\"F32\"", "[2]", "[0, -8]"), {": w.data_offsets"});
  expect_parts(error("\"F32\"", "[2]", "[8, 0]"),
               {": w.data_offsets", "before"});
  expect_parts(error("\"F32\"", "[4]", "[0, 16]"), {": w: ", "truncated"});
  expect_parts(error("\"F32\"", "[1]", "[4, 8]"), {": w: ", "gap"});
  expect_parts(error("\"F32\"", "[1]", "[0, 4]"), {"8 bytes of data"});
  expect_parts(error("\"F32\"", "[4503599627370496, 4096]", "[0, 0]"),
               {": w.shape", "too large"});
  expect_parts(error("\"F32\"", "[18446744073709551615]", "[0, 8]"),
               {": w.shape"});
  expect_parts(error("\"F32\"", "[2]", "[18446744073709551608, 0]"),
               {": w.data_offsets"});
}

/** LibTorch reduces no more than 64 dimensions, as checking booleans does. */
TEST(Safetensors, OfTooManyDimensionsAreNamed) {
  const auto header = [](size_t dimensions) {
    return cat(R"({"w": {"dtype": "BOOL", "shape": [)",
               join(std::vector<std::string>(dimensions, "1")),
               R"(], "data_offsets": [0, 1]}})");
  };
  expect_parts(error_of_header(header(65), "\1"), {"w.shape", "64 extents"});
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  write_file_atomic(path, with_length(header(64), "\1"));
  EXPECT_EQ(read_safetensors(path).tensors.at("w").dim(), 64);
}

TEST(Safetensors, OverlapsAndGapsAreNamed) {
  const auto error = [](const std::string& first, const std::string& second) {
    return error_of_header(
        cat(R"({"u": {"dtype": "I32", "shape": [1], "data_offsets": )", first,
            R"(}, "v": {"dtype": "I32", "shape": [1], "data_offsets": )",
            second, "}}"),
        std::string(12, '\0'));
  };
  expect_parts(error("[0, 4]", "[2, 6]"), {": v: ", "overlaps"});
  expect_parts(error("[0, 4]", "[0, 4]"), {": v: ", "overlaps"});
  expect_parts(error("[8, 12]", "[0, 4]"), {": u: ", "gap"});
}

TEST(Safetensors, BooleansAreZeroOrOne) {
  const auto text = error_of_header(
      R"({"b": {"dtype": "BOOL", "shape": [2], "data_offsets": [0, 2]}})",
      std::string("\1\2", 2));
  expect_parts(text, {": b: ", "0 or 1"});
}

TEST(Safetensors, OnlyRegularFilesAreRead) {
  const TemporaryFolder folder;
  const auto missing = folder / "missing.safetensors";
  expect_parts(error_of([&] { read_safetensors(missing); }), {missing});
  expect_parts(error_of([&] { read_safetensors(folder.path()); }),
               {folder.path(), "regular file"});
  const auto pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  expect_parts(error_of([&] { read_safetensors(pipe); }),
               {pipe, "regular file"});
}

TEST(Safetensors, WhatCannotBeWrittenLeavesTheOldFile) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  write_safetensors(path, {{"w", torch::ones(2)}});
  const auto error = [&](const std::string& name, const torch::Tensor& tensor) {
    const auto text = error_of([&] {
      write_safetensors(path, {{name, tensor}});
    });
    expect_parts(text, {path});
    return text;
  };
  expect_parts(error("u", torch::Tensor()), {": u: ", "undefined"});
  expect_parts(error("u", torch::ones(2, torch::kComplexFloat)), {": u: "});
  expect_parts(error("u", torch::ones({2, 2}).to_sparse()), {": u: ", "dense"});
  expect_parts(error("__metadata__", torch::ones(2)), {"reserved"});
  expect_parts(error("\xff", torch::ones(2)), {"UTF-8"});
  EXPECT_EQ(read_safetensors(path).tensors.size(), 1u);
  EXPECT_EQ(folder.entries(), 1);
}

TEST(Safetensors, ShapesAreThoseOfItsTensors) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  const auto tensors = one_of_each_type();
  write_safetensors(path, tensors);
  const auto shapes = read_shapes(path);
  ASSERT_EQ(shapes.size(), tensors.size());
  for (const auto& [name, shape] : shapes) {
    EXPECT_EQ(tensors.at(name).sizes(), shape) << name;
  }
}

}  // namespace
}  // namespace rsm
