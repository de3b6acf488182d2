#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "command_testing.h"

namespace rsm {
namespace {

TEST(Command, WhatCannotBePrintedIsAFailure) {
  for (const std::string command :
       {"methods --json", "--help",
        "check configs/shapes/demo.yaml --quick --json"}) {
    const auto done = run(command + " > /dev/full");
    EXPECT_EQ(done.status, 1) << command;
    expect_parts(done.said, {"standard output"});
  }
  EXPECT_EQ(run("methods --json > /dev/null").status, 0);
}

TEST(Command, AReaderThatHasSeenEnoughEndsItWithoutWords) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  ASSERT_EQ(dup2(ends[1], 9), 9);  // a number that the shell can say
  const auto done = run("methods --json >&9");
  close(ends[1]);
  close(9);
  EXPECT_EQ(done.status, 128 + SIGPIPE);
  EXPECT_EQ(done.said, "");
}

TEST(Command, PlacesThatTakeNoFileAreRefusedBeforeAnythingElse) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "file", "");
  const std::string below = folder / "file/x.png";
  // A model that is not there would be the next complaint.
  const std::vector<std::string> commands = {
      "sample no-model a -o " + below, "sample no-model a -o " + folder.path(),
      "sample no-model a -o x/",       "sample no-model a --latents " + below,
      "export no-run -o " + below,     "compare no-run -o " + below};
  for (const auto& command : commands) {
    const auto done = run(command);
    EXPECT_EQ(done.status, 2) << command;
    EXPECT_EQ(done.said.find("no-model"), std::string::npos) << done.said;
    EXPECT_EQ(done.said.find("no-run"), std::string::npos) << done.said;
  }
  expect_parts(run("sample no-model a --latents samples.png").said,
               {"-o and --latents", "samples.png"});
  EXPECT_EQ(folder.entries(), 1);
}

TEST(Command, FoldersOfAnOutputAreMade) {
  const TemporaryFolder folder;
  const std::string picture = folder / "a/b/x.png";
  EXPECT_EQ(run(cat("sample ", kFlowModel, " 'a cross' --steps 1 -o ", picture,
                    " > /dev/null"))
                .status,
            0);
  EXPECT_TRUE(std::filesystem::exists(picture));
}

TEST(Command, DevicesThatAreNotThereAreRefusedBeforeTheModelIsLoaded) {
  for (const std::string device : {"mps", "meta", "xla", "cpu:1", "gpu"}) {
    const auto done = run("sample no-model a --device " + device);
    EXPECT_EQ(done.status, 2) << device;
    expect_parts(done.said, {device, "cpu, cuda and cuda:N"});
  }
  const auto done = run("sample no-model a --device cuda:99");
  EXPECT_EQ(done.status, 2);
  expect_parts(done.said, {"[device]", "cuda:99"});
}

TEST(Command, ASweepWhoseLastRunCannotBeginIsRefusedBeforeItsFirst) {
  const TemporaryFolder folder;
  for (const std::string set :
       {"compute.device=cuda:99", "prompts.train=none.txt",
        "evaluation.prompts=none.txt"}) {
    write_file_atomic(folder / "sweep.yaml",
                      cat("name: s\nfolder: ", folder / "runs",
                          "\nconfig: configs/shapes/demo.yaml\nseeds: [1]\n"
                          "settings: [{label: a}, {label: b, set: [\"",
                          set, "\"]}]\n"));
    const auto done = run("sweep " + (folder / "sweep.yaml"));
    EXPECT_EQ(done.status, 2) << done.said;
    expect_parts(done.said, {set.substr(set.find('=') + 1)});
    EXPECT_EQ(folder.entries(), 1);
  }
}

TEST(Command, EveryMistakeOfAConfigIsToldAtOnce) {
  const TemporaryFolder folder;
  write_file_atomic(folder / "bad.yaml",
                    "model: no-model\n"
                    "sead: 1\n"
                    "sampling: {steps: ten}\n"
                    "train:\n"
                    "  lrr: 1\n"
                    "  lora: {rank: 1000000000}\n");
  for (const std::string command : {"finetune", "check"}) {
    const auto done = run(cat(command, " ", folder / "bad.yaml"));
    EXPECT_EQ(done.status, 2);
    expect_parts(done.said, {"6 problems", "bad.yaml:2: sead: unknown key",
                             "bad.yaml:5: train.lrr: unknown key",
                             "bad.yaml:1: model: ", "no-model",
                             "bad.yaml:3: sampling.steps: got \"ten\"",
                             "bad.yaml:6: train.lora.rank: ", "[1, 4096]",
                             "bad.yaml: name: missing"});
  }
}

TEST(Command, EveryMistakeOfAPretrainingIsToldAtOnce) {
  const auto done =
      run("pretrain configs/shapes/pretrain-flow.yaml --set model.heads=3 "
          "--set model.patch=5 --set train.imagse=1 --set train.batch=-1");
  EXPECT_EQ(done.status, 2);
  expect_parts(done.said, {"4 problems", "train.imagse", "model.heads: 3 heads",
                           "model.patch: patches of 5", "train.batch"});
}

TEST(Command, EveryMistakeOfAScorersPretrainingIsToldAtOnce) {
  const std::string config = "pretrain configs/shapes/pretrain-scorer.yaml";
  const auto done = run(config + " --set model.stem=12 --set data.noises=1");
  EXPECT_EQ(done.status, 2);
  expect_parts(done.said,
               {"2 problems", "data.noises", "model.stem", "multiple of 8"});
  const auto other = run(config + " --set kind=judge");
  EXPECT_EQ(other.status, 2);
  expect_parts(other.said, {"kind", "judge", "text-to-image, scorer"});
}

TEST(Command, AQuickCheckLooksIntoTheModelFolderAndReadsNoEndlessFile) {
  const TemporaryFolder folder;
  const std::string model = folder / "model";
  std::filesystem::copy(kFlowModel, model,
                        std::filesystem::copy_options::recursive);
  auto config = read_json(model + "/transformer/config.json");
  config["num_layers"] = 1000;
  write_json_atomic(model + "/transformer/config.json", config);
  const auto done =
      run("check configs/shapes/demo.yaml --quick --set model=" + model);
  EXPECT_EQ(done.status, 1);
  expect_parts(done.said, {model + "/transformer", "transformer_blocks.999"});
  const auto endless = run("check /dev/zero --quick");
  EXPECT_EQ(endless.status, 2);
  expect_parts(endless.said, {"/dev/zero", "regular file"});
}

TEST(Command, PicturesThatTheRewardDoesNotJudgeAreRefusedBeforeTheyAreDrawn) {
  const TemporaryFolder folder;
  const auto done =
      run(cat("finetune configs/shapes/demo.yaml --set folder=", folder / "run",
              " --set sampling.size=16"));
  EXPECT_EQ(done.status, 1);
  expect_parts(done.said, {"[reward shapes]", "16x16", "32x32"});
  EXPECT_FALSE(std::filesystem::exists(folder / "run/log.jsonl"));
  const std::string out = folder / "out";
  run("check configs/shapes/demo.yaml --quick --set sampling.size=16 > " + out);
  expect_parts(read_file(out), {"does not add up", "[reward shapes]", "16x16"});
}

TEST(Command, ASamplerThatIsNotThePublishedOneIsSaid) {
  const TemporaryFolder folder;
  const std::string out = folder / "out";
  const auto done =
      run(cat("check configs/shapes/diffusion-jpeg.yaml --quick --set "
              "'method={name: dance-grpo}' > ",
              out));
  EXPECT_EQ(done.status, 0) << done.said;
  expect_parts(read_file(out), {"warning", "dance-grpo", "constant", "usual"});
  EXPECT_EQ(run("methods dance-grpo > " + out).status, 0);
  expect_parts(read_file(out), {"note", "diffusion models", "usual"});
}

}  // namespace
}  // namespace rsm
