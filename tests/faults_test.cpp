// Every step by which a run writes fails once, in every way: nothing is lost by
// it.

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/io/faulty_disk_testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/profiles.h"
#include "rsm/paths/flow_path.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/tensorboard.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"
#include "rsm/verify/laboratory.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using Kind = FaultyDisk::Kind;

class JudgeIsOut : public Error {
 public:
  using Error::Error;
};

/** Another judge, while it is in. */
class Judge : public Reward {
 public:
  Judge(std::unique_ptr<const Reward> judge, std::shared_ptr<const bool> out)
      : judge_(std::move(judge)), out_(std::move(out)) {}
  std::string name() const override { return judge_->name(); }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    if (*out_) throw JudgeIsOut("[judge] is out");
    return judge_->score(images, prompts);
  }

 private:
  std::unique_ptr<const Reward> judge_;
  std::shared_ptr<const bool> out_;
};

/** Two epochs of a LoRA of one layer of a network of points. */
class SmallRun {
 public:
  explicit SmallRun(const std::string& folder)
      : path_(std::make_shared<FlowPath>(FlowMatchSchedule{.shift = 1})),
        options_(verify::run_options(
            for_family(find_method("flow-grpo"), Family::flow), *path_,
            {.epochs = 2, .pictures = 16, .threads = 1}, folder)) {
    options_.lora = true;
    options_.lora_config = {.rank = 1, .alpha = 1, .targets = {"proj_out"}};
    options_.steps = 3;
    options_.eval_steps = 2;
    options_.checkpoint_every = 1;
    options_.rollout_tiles.tile = options_.train_tiles.tile = 16;
    options_.tensorboard = true;
  }

  /** A life: an epoch, a judge that fails in the second, and all the rest. */
  void live() const {
    const auto out = std::make_shared<bool>(false);
    {
      const auto run = start(out);
      run->run_epoch();
      *out = true;
      EXPECT_THROW(run->run_epoch(), Error);
      *out = false;
    }
    end();
  }

  /** From wherever it is. */
  void end() const {
    const auto run = start(std::make_shared<bool>(false));
    while (!run->finished()) run->run_epoch();
    run->finish();
  }

  const std::string& folder() const { return options_.folder; }

 private:
  std::unique_ptr<Finetune> start(
      const std::shared_ptr<const bool>& out) const {
    static const auto problem = verify::problems(1).front();
    auto parts = verify::run_parts(problem, path_, options_, silent_);
    parts.reward = std::make_unique<Judge>(std::move(parts.reward), out);
    return std::make_unique<Finetune>(options_, std::move(parts), silent_);
  }

  std::shared_ptr<const Path> path_;
  RunOptions options_;
  mutable NoProgress silent_;
};

/** A log without what may differ: clocks, and what was said of pictures that
 * could not be kept. */
std::vector<nlohmann::json> numbers_of(const std::string& folder) {
  std::vector<nlohmann::json> out;
  for (const auto& line : read_log(folder + "/log.jsonl")) {
    auto& kept = out.emplace_back();
    for (const char* key : {"epoch", "images", "evals", "updates", "reward",
                            "loss", "kl", "grad_norm", "eval_reward"}) {
      kept[key] = line.value(key, nlohmann::json());
    }
  }
  return out;
}

/** All that the run learnt, byte for byte. */
void expect_same_end(const std::string& whole, const std::string& run) {
  expect_same_weights(whole, run);
  EXPECT_EQ(numbers_of(whole), numbers_of(run));
  for (const auto& name : names_in(whole + "/final")) {
    EXPECT_EQ(read_file(whole + "/final/" + name),
              read_file(run + "/final/" + name))
        << name;
  }
  for (const char* name :
       {"/config.yaml", "/samples/before.png", "/samples/after.png"}) {
    EXPECT_EQ(read_file(whole + name), read_file(run + name)) << name;
  }
  // Nothing is left of what failed.
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    const auto path = entry.path().string();
    for (const char* trace : {".tmp.", "pending", ".damaged", "/lock"}) {
      EXPECT_EQ(path.find(trace), std::string::npos) << path;
    }
  }
}

/** The event file is that of the log. */
void expect_events_of_log(const std::string& run) {
  std::vector<std::string> lines;
  for (const auto& line : read_log(run + "/log.jsonl")) {
    lines.push_back(line.dump());
  }
  const auto found = read_file(run + "/" + kEventFile);
  TensorBoard(run).follow(lines);
  EXPECT_EQ(found, read_file(run + "/" + kEventFile));
}

class Faults : public testing::TestWithParam<Kind> {
 protected:
  /** What the run says where its `at`-th step fails; none where it can do
   * without. */
  static std::optional<std::string> fails(const SmallRun& run, Kind kind,
                                          int64_t at) {
    const FaultyDisk disk(kind, at);
    try {
      run.live();
    } catch (const Error& error) {
      EXPECT_TRUE(disk.has_failed()) << error.what();
      return cat(error.what(), "\n", std::strerror(disk.code()));
    }
    EXPECT_TRUE(disk.has_failed()) << at;
    return std::nullopt;
  }
};

std::string name_of(Kind kind) {
  switch (kind) {
    case Kind::full:
      return "Full";
    case Kind::read_only:
      return "ReadOnly";
    case Kind::killed:
      return "Killed";
  }
  throw Error("a kind outside its enum");
}

INSTANTIATE_TEST_SUITE_P(, Faults,
                         testing::Values(Kind::full, Kind::read_only,
                                         Kind::killed),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Faults, WhereverARunWritesItLosesNothingAndEndsInTheSameBytes) {
  const TemporaryFolder folder;
  const SmallRun whole(folder / "whole");
  int64_t steps = 0;
  {
    const FaultyDisk healthy(Kind::full);
    whole.live();
    steps = healthy.steps();
  }
  ASSERT_GT(steps, 100);
  const auto learnt = latest_checkpoint(whole.folder());
  EXPECT_TRUE(
      learnt->tensors.at("trained.proj_out.lora_B.weight").any().item<bool>());
  // Starts are what takes time.
  const int64_t stride = GetParam() == Kind::read_only ? 5
                         : GetParam() == Kind::killed  ? 2
                                                       : 1;
  int64_t ended = 0, tries = 0;
  for (int64_t at = 0; at < steps; at += stride, ++tries) {
    SCOPED_TRACE(cat("step ", at, " of ", steps));
    const SmallRun run(folder / cat("run-", at));
    const auto said = fails(run, GetParam(), at);
    if (said) {
      ++ended;
      // What the system says, of which file, and what to do.
      expect_parts(*said, {run.folder(), ";"});
      const auto line = said->find('\n');
      EXPECT_NE(said->substr(0, line).find(said->substr(line + 1)),
                std::string::npos)
          << *said;
    }
    const FaultyDisk healthy(Kind::full);
    run.end();
    run.end();  // what was lost of the pictures comes back
    expect_same_end(whole.folder(), run.folder());
    expect_events_of_log(run.folder());
    fs::remove_all(run.folder());
    if (HasFailure()) return;
  }
  // Pictures and what only shows the log are no reason to end a run.
  EXPECT_GT(ended, tries / 4);
  if (GetParam() == Kind::full) {
    EXPECT_LT(ended, tries);
  }
}

/** As reports and exports are written, too. */
TEST_P(Faults, AFileStaysWhereTheNextCannotBeWritten) {
  const TemporaryFolder folder;
  const std::string page = folder / "report.html";
  write_file_atomic(page, "the last one");
  int64_t steps = 0;
  {
    const FaultyDisk healthy(GetParam());
    write_file_atomic(folder / "other", "text");
    steps = healthy.steps();
  }
  EXPECT_EQ(steps, 4);  // open, write, sync, rename
  for (int64_t at = 0; at < steps; ++at) {
    const FaultyDisk disk(GetParam(), at);
    expect_parts(error_of([&] { write_file_atomic(page, "the next one"); }),
                 {page, std::strerror(disk.code()), "; "});
    EXPECT_EQ(read_file(page), "the last one") << at;
  }
}

}  // namespace
}  // namespace rsm
