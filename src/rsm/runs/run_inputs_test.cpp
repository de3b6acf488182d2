#include "rsm/runs/run_inputs.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/testing.h"
#include "rsm/runs/run_options.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A model folder by name only, prompts and a judge. */
class RunInputsTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* part : {"unet", "tokenizer", "scheduler"}) {
      make_folders(folder_ / "model" + "/" + part);
    }
    write_json_atomic(folder_ / "model/model_index.json",
                      {{"_class_name", "x"}, {"unet", 1}, {"tokenizer", 1}});
    for (const char* name :
         {"model/unet/config.json", "model/unet/w.safetensors",
          "model/unet/README.md", "model/scheduler/a.json",
          "model/tokenizer/merges.txt", "judge.py"}) {
      write_file_atomic(folder_ / name, name);
    }
    write_file_atomic(folder_ / "prompts.txt", "one\ntwo\n");
    options_.model = folder_ / "model";
    options_.train_prompts = folder_ / "prompts.txt";
    RewardSpec judge;
    judge.name = "exec:python3 '" + (folder_ / "judge.py") + "' -v";
    options_.rewards = {judge};
    before_ = run_inputs(options_);
  }

  TemporaryFolder folder_;
  RunOptions options_;
  RunInputs before_;
};

TEST_F(RunInputsTest, AreWhatTheModelIsMadeOfAndNothingElse) {
  std::vector<std::string> names;
  for (const auto& [name, sum] : before_.model_files) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{
                       "model_index.json", "tokenizer/merges.txt",
                       "unet/config.json", "unet/w.safetensors"}));
  EXPECT_EQ(before_.model_files.at("unet/config.json"),
            checksum("model/unet/config.json"));
  EXPECT_EQ(before_.prompts.at("prompts.train").count, 2);
  EXPECT_EQ(before_.judges.size(), 1u);
}

TEST_F(RunInputsTest, ComeBackFromJson) {
  const auto json = to_json(before_);
  EXPECT_EQ(to_json(inputs_from_json(JsonFields(json, "here"))), json);
  for (const char* key :
       {"model", "model_place", "model_files", "prompts", "judges"}) {
    for (const nlohmann::json& bad :
         {nlohmann::json(), nlohmann::json(1), nlohmann::json::array()}) {
      auto wrong = json;
      wrong[key] = bad;
      expect_parts(
          error_of([&] { inputs_from_json(JsonFields(wrong, "here")); }),
          {"here", key});
    }
    auto less = json;
    less.erase(key);
    expect_parts(error_of([&] { inputs_from_json(JsonFields(less, "here")); }),
                 {"here", key, "missing"});
  }
}

TEST_F(RunInputsTest, ChangedContentIsNamedWhereItChangesNumbers) {
  write_file_atomic(folder_ / "model/unet/README.md", "other");
  fs::rename(folder_ / "model", folder_ / "moved");
  options_.model = folder_ / "moved";
  // The same prompts, written otherwise.
  write_file_atomic(folder_ / "again.txt", "\n one\r\ntwo");
  options_.train_prompts = folder_ / "again.txt";
  EXPECT_TRUE(changed_inputs(before_, run_inputs(options_)).empty());
  write_file_atomic(folder_ / "moved/unet/config.json", "other");
  fs::remove(folder_ / "moved/unet/w.safetensors");
  write_file_atomic(folder_ / "moved/tokenizer/added_tokens.json", "{}");
  write_file_atomic(folder_ / "again.txt", "one\nthree\n");
  const auto changed = changed_inputs(before_, run_inputs(options_));
  ASSERT_EQ(changed.size(), 2u);
  expect_parts(changed[0],
               {"unet/config.json (changed)", "unet/w.safetensors (missing)",
                "tokenizer/added_tokens.json (new)"});
  expect_parts(changed[1], {"again.txt", "prompts.train"});
  EXPECT_TRUE(changed_judges(before_, run_inputs(options_)).empty());
  write_file_atomic(folder_ / "judge.py", "mended");
  EXPECT_EQ(changed_judges(before_, run_inputs(options_)),
            std::vector<std::string>{folder_ / "judge.py"});
}

TEST_F(RunInputsTest, NetworksThatJudgeRestOnTheirFilesAndTokenizer) {
  const std::string clip = folder_ / "clip", script = clip + "/judge.pt";
  make_folders(clip + "/tokenizer");
  for (const char* name : {"/config.json", "/model.safetensors", "/judge.pt",
                           "/README.md", "/tokenizer/merges.txt"}) {
    write_file_atomic(clip + name, name);
  }
  const auto judges_of = [&](const std::string& name) {
    options_.rewards[0].name = name;
    std::vector<std::string> names;
    for (const auto& [file, sum] : run_inputs(options_).judges) {
      names.push_back(file);
    }
    return names;
  };
  using Names = std::vector<std::string>;
  const auto merges = clip + "/tokenizer/merges.txt";
  EXPECT_EQ(
      judges_of("clip-score:" + clip),
      (Names{clip + "/config.json", clip + "/model.safetensors", merges}));
  EXPECT_EQ(judges_of("torchscript:" + script), (Names{script, merges}));
  const auto before = run_inputs(options_);
  write_file_atomic(merges, "other");
  EXPECT_EQ(changed_judges(before, run_inputs(options_)), Names{merges});
}

TEST_F(RunInputsTest, MetadataOfPromptsCountsWhereThereIsAny) {
  const auto sum_of = [&](const std::string& lines) {
    write_file_atomic(folder_ / "p.jsonl", lines);
    options_.train_prompts = folder_ / "p.jsonl";
    return run_inputs(options_).prompts.at("prompts.train").sha256;
  };
  const auto plain = before_.prompts.at("prompts.train").sha256;
  EXPECT_EQ(plain, checksum(R"([["one",""],["two",""]])"));
  EXPECT_EQ(sum_of("{\"prompt\": \"one\", \"category\": null}\n\"two\""),
            plain);
  const std::string two = "\n\"two\"";
  const auto told = sum_of(R"({"prompt": "one", "count": 2, "of": 1})" + two);
  EXPECT_NE(told, plain);
  EXPECT_EQ(sum_of(R"({"of":1,"count":2,"prompt":"one"})" + two), told);
  EXPECT_NE(sum_of(R"({"prompt": "one", "count": 3, "of": 1})" + two), told);
}

TEST_F(RunInputsTest, ALoraToGoOnFromIsOneOfThem) {
  make_folders(folder_ / "lora");
  write_file_atomic(folder_ / "lora/any.safetensors", "x");
  options_.lora_from = folder_ / "lora";
  const auto with = run_inputs(options_);
  EXPECT_EQ(with.lora_files, (Checksums{{"any.safetensors", checksum("x")}}));
  const auto json = to_json(with);
  EXPECT_EQ(to_json(inputs_from_json(JsonFields(json, "here"))), json);
  EXPECT_EQ(changed_inputs(before_, with).size(), 1u);
  EXPECT_EQ(changed_inputs(with, before_).size(), 1u);
  // The file itself, elsewhere.
  fs::rename(folder_ / "lora", folder_ / "moved");
  options_.lora_from = folder_ / "moved/any.safetensors";
  EXPECT_TRUE(changed_inputs(with, run_inputs(options_)).empty());
  write_file_atomic(folder_ / "moved/any.safetensors", "y");
  expect_parts(join(changed_inputs(with, run_inputs(options_))),
               {"train.lora.from", "any.safetensors (changed)"});
}

TEST_F(RunInputsTest, AConsistencyModelIsOneOfThem) {
  const std::string file = folder_ / "lcm.safetensors";
  write_file_atomic(file, "x");
  options_.predictor = file;
  const auto with = run_inputs(options_);
  const auto json = to_json(with);
  EXPECT_EQ(to_json(inputs_from_json(JsonFields(json, "here"))), json);
  EXPECT_EQ(changed_inputs(before_, with).size(), 1u);
  EXPECT_TRUE(changed_inputs(with, run_inputs(options_)).empty());
  write_file_atomic(file, "y");
  expect_parts(join(changed_inputs(with, run_inputs(options_))),
               {"gradient.predictor", "lcm.safetensors (changed)"});
}

}  // namespace
}  // namespace rsm
