// Every step by which a run writes fails once, in every way: nothing is lost by
// it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>

#include "rsm/base/error.h"
#include "rsm/io/faulty_disk_testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/profiles.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/paths/flow_path.h"
#include "rsm/report/report.h"
#include "rsm/report/run_testing.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/export.h"
#include "rsm/runs/run_folder.h"
#include "rsm/runs/tensorboard.h"
#include "rsm/runs/watch.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"
#include "rsm/verify/laboratory.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using Kind = FaultyDisk::Kind;

constexpr const char* kShapesModel = "models/shapes-flow";
constexpr const char* kJudgeIsOut = "[judge] is out";

/** Another judge, while it is in. */
class Judge : public Reward {
 public:
  Judge(std::unique_ptr<const Reward> judge, std::shared_ptr<const bool> out)
      : judge_(std::move(judge)), out_(std::move(out)) {}
  std::string name() const override { return judge_->name(); }
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    if (*out_) throw Error(kJudgeIsOut);
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
    for (auto& [name, least] : options_.watch.least) least = 0;  // any is best
  }

  /** An epoch, and a judge that fails in the second. */
  void begin() const {
    const auto out = std::make_shared<bool>(false);
    const auto run = start(out);
    run->run_epoch();
    *out = true;
    try {
      run->run_epoch();
      ADD_FAILURE() << "the judge was out";
    } catch (const Error& error) {
      // The disk's error comes first where pictures can't be kept for it.
      if (std::string(error.what()).find(kJudgeIsOut) == std::string::npos) {
        throw;
      }
    }
  }

  /** That, and all the rest. */
  void live() const {
    begin();
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

void expect_same_best(const std::string& whole, const std::string& run) {
  const auto best = kept_best(whole);
  ASSERT_TRUE(best);
  EXPECT_EQ(best, kept_best(run));
  const auto a = best_folder(whole), b = best_folder(run);
  EXPECT_EQ(names_in(a + "/checkpoints"), names_in(b + "/checkpoints"));
  EXPECT_FALSE(fs::exists(b + ".new"));
  expect_same_weights(a, b);
}

/** All that the run learnt, byte for byte. */
void expect_same_end(const std::string& whole, const std::string& run) {
  expect_same_weights(whole, run);
  expect_same_best(whole, run);
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

int64_t steps_of(const std::function<void()>& write) {
  const FaultyDisk healthy(Kind::full);
  write();
  return healthy.steps();
}

/** Whether `write` ends where its `at`-th step fails, saying what the system
 * says, of which file, and what to do. Else it can do without. */
bool ends_at(Kind kind, int64_t at, const std::function<void()>& write) {
  const FaultyDisk disk(kind, at);
  std::string said;
  try {
    write();
  } catch (const Error& error) {
    said = error.what();
  }
  EXPECT_TRUE(disk.has_failed()) << at << ": " << said;
  if (said.empty()) return false;
  expect_parts(said, {std::strerror(disk.code()), ";"});
  const auto& files = disk.failed();
  const bool named =
      std::any_of(files.begin(), files.end(), [&](const auto& file) {
        return !fs::is_directory(file) && said.find(file) != std::string::npos;
      });
  EXPECT_TRUE(named) << said << "\nfailed: " << join(files);
  return true;
}

/** Files by name below a folder, but those of dead processes. */
std::map<std::string, std::string> whole_files(const std::string& folder) {
  std::map<std::string, std::string> out;
  if (!fs::exists(folder)) return out;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    const auto path = entry.path().string();
    const bool dead =
        path.ends_with("/lock") || path.find(".tmp.") != std::string::npos;
    if (!dead && entry.is_regular_file()) out[path] = read_file(path);
  }
  return out;
}

class Faults : public testing::TestWithParam<Kind> {};

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
  const int64_t steps = steps_of([&] { whole.live(); });
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
    if (ends_at(GetParam(), at, [&] { run.live(); })) ++ended;
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

TEST_P(Faults, AFileStaysWhereTheNextCannotBeWritten) {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  const auto write = [](const std::string& to, const std::string& word) {
    AtomicFile file(to);
    for (const char* part : {"the ", "very ", "same "}) file.write(part + word);
    file.commit();
  };
  write(path, "last");
  const auto before = read_file(path);
  const int64_t steps = steps_of([&] { write(folder / "other", "text"); });
  EXPECT_EQ(steps, 5);  // open, two writes of three, sync, rename
  for (int64_t at = 0; at < steps; ++at) {
    EXPECT_TRUE(ends_at(GetParam(), at, [&] { write(path, "next"); })) << at;
    EXPECT_EQ(read_file(path), before) << at;
  }
}

TEST_P(Faults, AReportStaysWhereTheNextCannotBeWritten) {
  const TemporaryFolder folder;
  const std::string run = folder / "run", page = run + "/report.html";
  auto about = report::example_run();
  report::write_run(run, report::example_log(), about);
  const auto write = [&] { report::write_report(run); };
  const int64_t steps = steps_of(write);
  const auto before = read_file(page);
  about["name"] = "another";
  report::write_run(run, report::example_log(), about);
  for (int64_t at = 0; at < steps; ++at) {
    EXPECT_TRUE(ends_at(GetParam(), at, write)) << at;
    EXPECT_TRUE(read_file(page) == before) << at;
  }
  write();
  EXPECT_FALSE(read_file(page) == before);
}

/** Whole models take a while: some steps, in turn in every way. */
constexpr int64_t kModelStride = 4;
Kind kind_at(int64_t at) { return static_cast<Kind>(at / kModelStride % 3); }

/** What final/ is where all weights are trained. */
TEST(FaultyFiles, OfAModelAreTheLastOnesOrTheNext) {
  const TemporaryFolder folder;
  const auto network = ImageModel::load(kShapesModel).network;
  RunOptions options;
  options.folder = folder.path();
  options.model = kShapesModel;
  options.lora = false;
  const auto before = state_dict(*network);
  const std::string name = before.begin()->first;
  const auto weight = before.begin()->second.detach();
  const auto write = [&](int64_t i) {
    return [&, i] {
      write_final(options, network, {{name, weight + 1 + i % 2}});
    };
  };
  const int64_t steps = steps_of(write(1));
  auto last = whole_files(folder / "final");
  for (int64_t at = 0, next = 0; at < steps; at += kModelStride, ++next) {
    EXPECT_TRUE(ends_at(kind_at(at), at, write(next))) << at;
    const auto between = whole_files(folder / "final");
    steps_of(write(next));
    const auto now = whole_files(folder / "final");
    EXPECT_TRUE(now != last);
    for (const auto& [file, bytes] : now) {
      const auto& found = between.at(file);
      EXPECT_TRUE(found == last.at(file) || found == bytes) << file;
    }
    last = now;
  }
}

TEST(FaultyFiles, OfAnExportAreWholeAndTheRunStays) {
  const TemporaryFolder folder;
  const auto run =
      quick_run(folder / "run",
                {"train.epochs=0", "train.lora.rank=1", "evaluation.steps=1"});
  NoProgress silent;
  Finetune(run, silent).save();
  const auto learnt = whole_files(run.folder);
  ExportOptions options;
  options.run = run.folder;
  const std::string place = run.folder + "/export";
  const auto write = [&] { export_run(options, silent); };
  const int64_t steps = steps_of(write);
  const auto whole = whole_files(place);
  int64_t ended = 0;
  for (int64_t at = 0; at < steps; at += kModelStride) {
    fs::remove_all(place);
    if (ends_at(kind_at(at), at, write)) ++ended;
    for (const auto& [file, bytes] : whole_files(place)) {
      EXPECT_TRUE(bytes == whole.at(file)) << file;
    }
  }
  EXPECT_GT(ended, 5);
  steps_of(write);
  EXPECT_TRUE(whole_files(place) == whole);
  fs::remove_all(place);
  EXPECT_TRUE(whole_files(run.folder) == learnt);
}

TEST(FaultyFolders, CostNothingOnceWhatLiesInTheirPlaceIsGone) {
  const TemporaryFolder folder;
  const SmallRun whole(folder / "whole"), run(folder / "run");
  whole.live();
  for (const std::string name : {"", "/checkpoints", "/samples", "/final"}) {
    SCOPED_TRACE(name);
    const std::string place = run.folder() + name;
    if (name == "/final") run.begin();  // before, it is a sign of another run
    make_folders(fs::path(place).parent_path().string());
    write_file_atomic(place, "mine");
    if (name == "/samples") {
      run.live();  // pictures are no reason to end
    } else {
      expect_parts(error_of([&] { run.end(); }),
                   {place, "; a file lies where"});
    }
    EXPECT_EQ(read_file(place), "mine");
    remove_file(place);
    run.end();
    run.end();
    expect_same_end(whole.folder(), run.folder());
    fs::remove_all(run.folder());
  }
}

}  // namespace
}  // namespace rsm
