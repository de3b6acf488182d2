#include "rsm/runs/run_origin.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(RunOrigin, IsSaidInWords) {
  const TemporaryFolder folder;
  EXPECT_EQ(origin_text(folder.path()), "");
  nlohmann::json origin = {
      {"run", "runs/a"}, {"epoch", 3}, {"changed", nlohmann::json::array()}};
  write_json_atomic(folder / "origin.json", origin);
  EXPECT_EQ(origin_text(folder.path()),
            "the first 3 epochs are those of runs/a");
  origin["changed"] = {"train.lr: 1 -> 2", "train.epochs: 3 -> 4"};
  write_json_atomic(folder / "origin.json", origin);
  EXPECT_EQ(origin_text(folder.path()),
            "the first 3 epochs are those of runs/a; since then "
            "train.lr: 1 -> 2, train.epochs: 3 -> 4");
}

TEST(RunOrigin, ADamagedNoteIsNamedWithAWayOut) {
  const TemporaryFolder folder;
  const std::string note = folder / "origin.json";
  RunOptions options;
  options.folder = folder.path();
  for (const char* damaged :
       {"", "{", "[]", "{}", R"({"run": "a", "epoch": 1})",
        R"({"run": 1, "epoch": 1, "changed": []})",
        R"({"run": "a", "epoch": "1", "changed": []})",
        R"({"run": "a", "epoch": -1, "changed": []})",
        R"({"run": "a", "epoch": 1, "changed": "b"})",
        R"({"run": "a", "epoch": 1, "changed": [1]})"}) {
    SCOPED_TRACE(damaged);
    write_file_atomic(note, damaged);
    for (const auto& said :
         {error_of([&] { origin_text(folder.path()); }),
          error_of([&] { begin_from(options, "a", std::nullopt); })}) {
      expect_parts(said, {note, "; bring the file back, or remove it"});
      EXPECT_EQ(said.find("json.exception"), std::string::npos) << said;
    }
  }
}

}  // namespace
}  // namespace rsm
