#include "rsm/runs/run_start.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "rsm/data/picture_scores.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/run_log.h"
#include "rsm/io/testing.h"
#include "rsm/runs/machine.h"
#include "rsm/runs/run_folder.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/** Without the wait for the disk that write_file_atomic has. */
void write_plain(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/** A run of two epochs as it lies in its folder; no network, small tensors. */
class RunStartTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.folder = folder_.path();
    options_.resolved = "model: m\nseed: 1\n";
    inputs_ = {"m", "/m", {{"unet/config.json", "1"}}, {}, {}};
    inputs_.prompts["prompts.train"] = {"p.txt", 3, "2"};
    write_plain(folder_ / "log.jsonl", log_);
    for (const int64_t epoch : {1, 2}) {
      save_checkpoint(folder_.path(), of_epoch(epoch));
    }
    write_plain(folder_ / "config.yaml", options_.resolved);
    write_plain(folder_ / "run.json", R"({"finished": true, "name": "x"})");
    make_folders(folder_ / "samples");
    write_png(folder_ / "samples/before.png",
              at::zeros({3, 4, 4}, torch::kUInt8));
    write_plain(folder_ / "samples/prompts.json",
                R"({"gap": 2, "prompts": ["a"], "strict_before": [1]})");
    PictureScores scores;
    scores.prompts = scores.members = {0};
    scores.categories = {"a"};
    scores.metrics = {{"reward", {1}}};
    write_picture_scores(folder_ / "samples/scores-before.json", scores);
  }

  Checkpoint of_epoch(int64_t epoch) const {
    Checkpoint c;
    c.epoch = epoch;
    c.tensors = {{"w", at::full({2}, static_cast<double>(epoch))}};
    c.spent = {10 * epoch, 20 * epoch, epoch, 0.5, 0.7};
    c.machine = machine_fingerprint(torch::kCPU, options_.train_tiles.tile);
    c.config = options_.resolved;
    c.inputs = inputs_;
    c.log = {R"({"epoch":0})", R"({"epoch":1})"};
    if (epoch > 1) c.log.push_back(R"({"epoch":2})");
    return c;
  }

  RunStart start() { return find_start(options_, inputs_, notes_); }
  std::string refusal() {
    return error_of([&] { start(); });
  }

  TemporaryFolder folder_;
  RunOptions options_;
  RunInputs inputs_;
  Notes notes_;
  const std::string log_ = "{\"epoch\":0}\n{\"epoch\":1}\n{\"epoch\":2}\n";
};

TEST_F(RunStartTest, AWholeRunGoesOnInSilence) {
  const auto found = start();
  ASSERT_TRUE(found.checkpoint);
  EXPECT_EQ(found.checkpoint->epoch, 2);
  EXPECT_EQ(found.log, log_);
  EXPECT_TRUE(notes_.said.empty()) << notes_.all();
  EXPECT_FALSE(is_lost(folder_.path(), "before", 0));
  EXPECT_TRUE(is_lost(folder_.path(), "before", 1));
  EXPECT_TRUE(is_lost(folder_.path(), "after", 2));
}

TEST_F(RunStartTest, NothingLearntIsEverBegunAnew) {
  const std::vector<std::function<void()>> damages = {
      [&] { fs::remove_all(folder_ / "checkpoints"); },
      [&] {
        for (const char* name : {"1", "2"}) {
          fs::remove(folder_ / cat("checkpoints/epoch-00000", name, ".json"));
        }
      },
      [&] {
        for (const char* name : {"1", "2"}) {
          write_plain(folder_ / cat("checkpoints/epoch-00000", name, ".json"),
                      "{}");
        }
      }};
  for (const auto& damage : damages) {
    SetUp();
    damage();
    const auto text = refusal();
    expect_parts(text, {folder_.path(), "log.jsonl reaches epoch 2",
                        "no whole checkpoint", "anew"});
    EXPECT_EQ(read_file(folder_ / "log.jsonl"), log_);
  }
  // Each sign is enough by itself.
  fs::remove_all(folder_ / "checkpoints");
  fs::remove(folder_ / "run.json");
  write_plain(folder_ / "log.jsonl", "garbage\n");
  expect_parts(refusal(), {"log.jsonl:1 is damaged"});
  fs::remove(folder_ / "log.jsonl");
  EXPECT_FALSE(start().checkpoint);
  write_plain(folder_ / "run.json", R"({"finished": true})");
  expect_parts(refusal(), {"run.json says that it is finished"});
  fs::remove(folder_ / "run.json");
  write_plain(folder_ / "samples/after.png", "");
  expect_parts(refusal(), {"samples/after.png"});
  fs::remove(folder_ / "samples/after.png");
  make_folders(folder_ / "checkpoints");
  write_plain(folder_ / "checkpoints/epoch-000003.safetensors", "");
  expect_parts(refusal(), {"files of epoch 3"});
}

TEST_F(RunStartTest, ARunKilledBeforeItsFirstCheckpointBeginsAnew) {
  fs::remove_all(folder_ / "checkpoints");
  fs::remove(folder_ / "run.json");
  for (const char* log : {"", "{\"epoch\":0}\n", "{\"epo"}) {
    write_plain(folder_ / "log.jsonl", log);
    EXPECT_FALSE(start().checkpoint) << log;
  }
}

TEST_F(RunStartTest, OtherContentIsRefusedWhereverItLies) {
  inputs_.model = "elsewhere";
  inputs_.model_place = "/elsewhere";
  options_.resolved = "model: elsewhere\nseed: 1\n";
  EXPECT_EQ(start().checkpoint->epoch, 2);
  inputs_.model_files["unet/config.json"] = "9";
  inputs_.prompts["prompts.train"].sha256 = "9";
  expect_parts(refusal(), {"has changed", "elsewhere",
                           "unet/config.json (changed)", "p.txt", "`name`"});
}

TEST_F(RunStartTest, TheConfigIsTheCheckpointsNotTheFiles) {
  options_.resolved = "model: m\nseed: 2\n";
  write_plain(folder_ / "config.yaml", options_.resolved);
  expect_parts(refusal(), {"seed: 1 -> 2", "another config"});
  options_.resolved = "model: m\nseed: 1\n";
  notes_.said.clear();
  EXPECT_EQ(start().checkpoint->epoch, 2);
  expect_parts(notes_.all(), {"config.yaml", "written anew"});
  fs::remove(folder_ / "config.yaml");
  EXPECT_EQ(start().checkpoint->epoch, 2);
  expect_parts(notes_.said.back(), {"config.yaml", "missing"});
}

TEST_F(RunStartTest, AnotherDeviceIsSaidOnly) {
  options_.device = torch::Device(torch::kCUDA, 1);
  EXPECT_EQ(start().checkpoint->epoch, 2);
  expect_parts(notes_.all(), {"warning", "last bits"});
}

TEST_F(RunStartTest, LeftoversGoOnceTheRunGoesOn) {
  write_plain(folder_ / "run.json.tmp.12.0", "");
  make_folders(folder_ / "export");
  write_plain(folder_ / "export/x.tmp.12.0", "");
  write_plain(folder_ / "checkpoints/epoch-000003.safetensors", "");
  write_plain(folder_ / "checkpoints/epoch-000003.json.tmp.12.1", "");
  tidy_run(folder_.path(), 2, notes_);
  EXPECT_FALSE(fs::exists(folder_ / "run.json.tmp.12.0"));
  EXPECT_TRUE(fs::exists(folder_ / "export/x.tmp.12.0"));
  expect_parts(notes_.all(), {"2 temporary files", "epoch-000003.safetensors"});
  EXPECT_EQ(start().checkpoint->epoch, 2);
}

/** A value of another kind somewhere in a JSON value. */
void change_kind(json& value, std::mt19937& random) {
  if (value.is_structured() && !value.empty() && random() % 4 != 0) {
    auto item = value.begin();
    std::advance(item, random() % value.size());
    if (value.is_object() && random() % 8 == 0) {
      value.erase(item);
    } else {
      change_kind(*item, random);
    }
    return;
  }
  static const std::vector<json> kinds = {nullptr,
                                          "text",
                                          -3,
                                          1e300,
                                          -0.5,
                                          true,
                                          json::array(),
                                          json::object(),
                                          json::array({json::array({nullptr})}),
                                          uint64_t{18446744073709551615u}};
  value = kinds[random() % kinds.size()];
}

/** Damages a file: bytes, its end, its types, or all of it. */
void damage(const std::string& path, std::mt19937& random) {
  std::string bytes = read_file(path);
  switch (random() % 5) {
    case 0:
      bytes.resize(random() % (bytes.size() + 1));
      break;
    case 1:
      fs::remove(path);
      return;
    case 2:
      bytes.insert(random() % (bytes.size() + 1),
                   std::string(random() % 300, "[{\"\xff"[random() % 4]));
      break;
    case 3:
      if (const auto value = json::parse(bytes, nullptr, false);
          !value.is_discarded()) {
        json changed = value;
        change_kind(changed, random);
        bytes = changed.dump();
        break;
      }
      [[fallthrough]];
    default:
      for (int i = 0; i < 3 && !bytes.empty(); ++i) {
        bytes[random() % bytes.size()] = static_cast<char>(random());
      }
  }
  write_plain(path, bytes);
}

/** Runs what reads a run's folder; false where it was refused. Any exception
 * but rsm::Error ends the test. */
bool reads(const std::function<void()>& action) {
  try {
    action();
    return true;
  } catch (const Error& error) {
    EXPECT_STRNE(error.what(), "");
    return false;
  }
}

TEST_F(RunStartTest, WhateverIsDamagedIsRefusedOrTheRunGoesOnRight) {
  std::mt19937 random(7);
  std::vector<std::string> files = {"checkpoints/epoch-000001.json",
                                    "checkpoints/epoch-000002.json",
                                    "checkpoints/epoch-000001.safetensors",
                                    "checkpoints/epoch-000002.safetensors",
                                    "log.jsonl",
                                    "run.json",
                                    "config.yaml",
                                    "samples/prompts.json",
                                    "samples/before.png"};
  std::map<std::string, std::string> whole;
  for (const auto& name : files) whole[name] = read_file(folder_ / name);
  int64_t went_on = 0, fell_back = 0;
  for (int round = 0; round < 3000; ++round) {
    const auto& name = files[random() % files.size()];
    damage(folder_ / name, random);
    RunStart found;
    const bool ok = reads([&] { found = start(); });
    if (ok) {
      ASSERT_TRUE(found.checkpoint) << name;
      const int64_t epoch = found.checkpoint->epoch;
      ASSERT_TRUE(epoch == 1 || epoch == 2) << name;
      const auto expected = of_epoch(epoch);
      EXPECT_TRUE(
          found.checkpoint->tensors.at("w").equal(expected.tensors.at("w")));
      EXPECT_EQ(found.checkpoint->spent.images, expected.spent.images);
      EXPECT_EQ(found.log, join(expected.log, "\n") + "\n") << name;
      ++went_on;
      fell_back += epoch == 1 ? 1 : 0;
    }
    reads([&] { is_finished(options_); });
    reads([&] { read_log(folder_ / "log.jsonl"); });
    is_lost(folder_.path(), "before", 0);
    for (const auto& [file, bytes] : whole) write_plain(folder_ / file, bytes);
  }
  // One checkpoint of two is always whole.
  EXPECT_EQ(went_on, 3000);
  EXPECT_GT(fell_back, 300);
}

}  // namespace
}  // namespace rsm
