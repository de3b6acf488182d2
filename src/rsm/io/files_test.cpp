#include "rsm/io/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(Files, ReadingGivesWhatWasWritten) {
  const TemporaryFolder folder;
  const auto path = folder / "a";
  for (const auto& bytes : {std::string(), std::string("\0\r\n\xff", 4),
                            std::string(300'000, 'x')}) {
    write_file_atomic(path, bytes);
    EXPECT_EQ(read_file(path), bytes);
  }
  AtomicFile pieces(path);
  for (const char* piece : {"one", "", "two"}) pieces.write(piece);
  EXPECT_EQ(read_file(path).size(), 300'000u);
  pieces.commit();
  EXPECT_EQ(read_file(path), "onetwo");
  { AtomicFile(path).write("left off"); }
  EXPECT_EQ(read_file(path), "onetwo");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(Files, WhatIsTooLargeOrHasNoEndIsRefusedBeforeItIsRead) {
  const TemporaryFolder folder;
  const auto path = folder / "a";
  write_file_atomic(path, "12345");
  EXPECT_EQ(read_file(path, 5), "12345");
  expect_parts(error_of([&] { read_file(path, 4); }), {path, "4 bytes"});
  std::filesystem::resize_file(path, kFileBytes << 6);  // a hole
  expect_parts(error_of([&] { read_json(path); }), {path, "more than"});
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const auto& name : {folder / "pipe", std::string("/dev/zero")}) {
    expect_parts(error_of([&] { read_file(name); }), {name, "regular file"});
    expect_parts(error_of([&] { file_checksum(name); }), {name});
  }
}

TEST(Files, APipeThatTheShellHasOpenedIsRead) {
  const auto read = [](uint64_t most) {
    std::array<int, 2> ends = {};
    EXPECT_EQ(pipe(ends.data()), 0);
    const FileHandle from(ends[0]);
    EXPECT_TRUE(write_all(FileHandle(ends[1]), "12345"));
    return read_file(cat("/dev/fd/", ends[0]), most);
  };
  EXPECT_EQ(read(5), "12345");
  expect_parts(error_of([&] { read(4); }), {"4 bytes"});
}

TEST(Files, PlacesThatCannotBeLookedAtAreNamed) {
  const std::string longest(300, 'x');
  for (const auto& look : {is_there, is_file, is_folder}) {
    expect_parts(error_of([&] { look(longest); }), {"[files]", "xxx"});
    EXPECT_FALSE(look("nothing/lies/here"));
  }
  expect_parts(error_of([&] { make_folders(longest); }), {"[files]", "xxx"});
}

TEST(Files, FailedWritesLeaveNothingBehind) {
  const TemporaryFolder folder;
  const auto taken = folder / "taken";
  std::filesystem::create_directory(taken);
  expect_parts(error_of([&] { write_file_atomic(taken, "x"); }), {taken});
  EXPECT_EQ(folder.entries(), 1);
  const auto nowhere = folder / "missing/a";
  expect_parts(error_of([&] { write_file_atomic(nowhere, "x"); }), {nowhere});
}

TEST(Files, WhatCannotBeReadIsNamed) {
  const TemporaryFolder folder;
  expect_parts(error_of([&] { read_file(folder / "a"); }), {folder / "a"});
  expect_parts(error_of([&] { read_file(folder.path()); }), {folder.path()});
}

TEST(Files, TemporaryFilesOfTheDeadAreRemovedAndNothingElse) {
  const TemporaryFolder folder;
  make_folders(folder / "a/b");
  make_folders(folder / "export");
  const std::vector<std::string> left = {"x.json.tmp.12.0", "a/b/y.tmp.1.34"};
  const std::vector<std::string> kept = {
      "x.json",   "x.tmp", "x.tmp.1", ".tmp.1.2",        "x.tmp.1.2b",
      "x.tmp..2", "12.34", "a/b/y",   "export/z.tmp.1.2"};
  for (const auto& files : {left, kept}) {
    for (const auto& name : files) write_file_atomic(folder / name, "");
  }
  EXPECT_EQ(remove_temporary_files(folder.path(), {"export"}), 2);
  for (const auto& name : left) {
    EXPECT_FALSE(std::filesystem::exists(folder / name)) << name;
  }
  for (const auto& name : kept) {
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
  }
  EXPECT_EQ(remove_temporary_files(folder / "missing"), 0);
}

TEST(Files, NamesInAFolderAreSorted) {
  const TemporaryFolder folder;
  for (const char* name : {"b", "a", ".c"}) {
    write_file_atomic(folder / name, "");
  }
  make_folders(folder / "A/below");
  EXPECT_EQ(names_in(folder.path()),
            (std::vector<std::string>{".c", "A", "a", "b"}));
  EXPECT_TRUE(names_in(folder / "none").empty());
  EXPECT_TRUE(names_in(folder / "a").empty());
}

TEST(Files, FoldersThatCannotBeMadeAreNamed) {
  const TemporaryFolder folder;
  make_folders(folder / "a/b");
  make_folders(folder / "a/b");
  write_file_atomic(folder / "file", "");
  for (const auto* name : {"file", "file/below"}) {
    expect_parts(error_of([&] { make_folders(folder / name); }),
                 {"[files]", folder / name, "; a file lies where a folder"});
  }
}

TEST(Files, ErrorsSayWhatToDo) {
  const TemporaryFolder folder;
  make_folders(folder / "taken");
  write_file_atomic(folder / "file", "");
  const std::string longest(300, 'x');
  for (const auto& [name, way_out] :
       std::vector<std::pair<std::string, std::string>>{
           {"missing/a", "; make its folder first"},
           {"file/a", "; a file lies where a folder should"},
           {"taken", "; a folder lies there"},
           {longest, "; choose a shorter name"}}) {
    const auto path = folder / name;
    expect_parts(error_of([&] { write_file_atomic(path, "x"); }),
                 {path, way_out});
  }
  expect_parts(error_of([&] { is_there(longest); }), {"; choose a shorter"});
}

TEST(Json, ReadingGivesWhatWasWritten) {
  const TemporaryFolder folder;
  const nlohmann::json value = {{"b", {1, 2.5, "é"}}, {"a", nullptr}};
  write_json_atomic(folder / "a.json", value);
  EXPECT_EQ(read_json(folder / "a.json"), value);
  EXPECT_EQ(read_file(folder / "a.json").back(), '\n');
}

TEST(Json, MistakesAreNamedWithTheirPosition) {
  const TemporaryFolder folder;
  const auto path = folder / "a.json";
  const auto error = [&](const std::string& text) {
    write_file_atomic(path, text);
    return error_of([&] { read_json(path); });
  };
  expect_parts(error("{\n \"a\": oops}"), {"[json] " + path + ":2:7: "});
  expect_parts(error(""), {path + ":1:1: "});
  expect_parts(error("{} x"), {path + ":1:4: "});
  expect_parts(error_of([&] { write_json_atomic(path, "\xff"); }), {path});
  EXPECT_EQ(read_file(path), "{} x");
}

// Of NIST's "Secure Hashing" examples.
TEST(Checksum, ReproducesPublishedVectors) {
  EXPECT_EQ(checksum(""),
            "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(checksum("abc"),
            "ba7816bf8f01cfea414140de5dae2223"
            "b00361a396177a9cb410ff61f20015ad");
}

TEST(Checksum, OfAFileIsThatOfItsBytes) {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  for (const size_t size : {0, 1, 1 << 16, (1 << 16) + 1}) {  // of parts
    const std::string bytes(size, 'x');
    write_file_atomic(path, bytes);
    EXPECT_EQ(file_checksum(path), checksum(bytes)) << size;
  }
  expect_parts(error_of([&] { file_checksum(folder / "none"); }), {"none"});
}

// Examples of RFC 4648, section 10, and more than is encoded at once.
TEST(Base64, ReproducesPublishedVectors) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64(std::string("\xfb\xff\0", 3)), "+/8A");
  const auto large = base64(std::string((3 << 20) + 1, '\0'));
  EXPECT_EQ(large, cat(std::string((4 << 20) + 2, 'A'), "=="));
}

}  // namespace
}  // namespace rsm
