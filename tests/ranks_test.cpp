// Runs on several processes, under mpirun, are those of one.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "command_testing.h"
#include "program.h"
#include "rsm/base/error.h"
#include "rsm/io/run_log.h"
#include "rsm/io/testing.h"
#include "rsm/runs/checkpoint.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

#ifdef RSM_MPIRUN
constexpr const char* kMpirun = RSM_MPIRUN;
#else
constexpr const char* kMpirun = "";
#endif

/** The least that has every station: two epochs of two updates. */
std::string small_config(const std::string& folder, const std::string& method,
                         const std::string& more = "") {
  return cat("name: test\nfolder: ", folder,
             "\nmodel: models/shapes-flow\nreward: shapes-soft\n"
             "method:\n  name: ",
             method,
             "\nprompts:\n  per_epoch: 3\n  samples_per_prompt: 4\n"
             "sampling:\n  steps: 4\n  guidance_scale: 1\n"
             "train:\n  epochs: 2\n  lora: {rank: 4, alpha: 8}\n"
             "evaluation:\n  images: 12\n  every: 2\n  steps: 2\n"
             "checkpoint:\n  every: 1\n"
             "compute:\n  train_tile: 4\n  rollout_tile: 4\n  threads: 1\n",
             more);
}

/** Fewer pictures, which need not divide by the ranks. */
constexpr const char* kFew =
    " --set prompts.samples_per_prompt=2 --set evaluation.images=4";

class Ranks : public testing::Test {
 protected:
  void SetUp() override {
    if (*kMpirun == '\0') GTEST_SKIP() << "built without MPI";
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
    ::setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  }

  std::string run_folder(const std::string& name) const {
    return folder_ / name;
  }
  std::string config(const std::string& name, const std::string& method,
                     const std::string& more = "") const {
    const std::string path = folder_ / (name + ".yaml");
    write_file_atomic(path, small_config(run_folder(name), method, more));
    return path;
  }
  static std::string launcher(int64_t ranks,
                              const std::string& command = "finetune") {
    return cat(kMpirun, " --oversubscribe --bind-to none -n ", ranks, " ",
               RSM_BINARY_DIR, "/rsm ", command, " ");
  }
  /** The exit status of a command and what it says, on any number of processes;
   * 0: without a launcher. Its output is the file `out`. */
  Command run_on(int64_t ranks, const std::string& arguments,
                 const std::string& command = "finetune") const {
    const std::string before = ranks == 0
                                   ? cat(RSM_BINARY_DIR, "/rsm ", command, " ")
                                   : launcher(ranks, command);
    const int result = std::system(
        cat(before, arguments, " > ", folder_ / "out", " 2> ", folder_ / "said")
            .c_str());
    return {WEXITSTATUS(result), read_file(folder_ / "said")};
  }
  /** The log without its times and what depends on the process. */
  static std::vector<nlohmann::json> timeless(const std::string& run) {
    auto log = read_log(run + "/log.jsonl");
    for (auto& line : log) {
      for (const char* key :
           {"wall_s", "train_s", "seconds", "peak_memory_mb"}) {
        line.erase(key);
      }
    }
    return log;
  }
  static void expect_same_runs(const std::string& a, const std::string& b) {
    EXPECT_EQ(timeless(a), timeless(b));
    EXPECT_EQ(latest_checkpoint(a)->epoch, latest_checkpoint(b)->epoch);
    std::vector<std::string> files = {"samples/before.png", "samples/after.png",
                                      "samples/scores-after.json",
                                      "checkpoints/epoch-000002.safetensors"};
    for (const auto& entry : fs::recursive_directory_iterator(a + "/final")) {
      if (entry.path().extension() == ".safetensors") {
        files.push_back(fs::relative(entry.path(), a));
      }
    }
    ASSERT_GT(files.size(), 4);
    for (const auto& file : files) {
      EXPECT_EQ(read_file(a + "/" + file), read_file(b + "/" + file)) << file;
    }
  }
  void expect_same_on(const std::vector<int64_t>& counts,
                      const std::string& method,
                      const std::string& sets = "") const {
    const auto alone = run_on(0, config("0", method) + sets);
    ASSERT_EQ(alone.status, 0) << alone.said;
    for (const int64_t ranks : counts) {
      const auto name = std::to_string(ranks);
      const auto done = run_on(ranks, config(name, method) + sets);
      ASSERT_EQ(done.status, 0) << method << done.said;
      expect_same_runs(run_folder("0"), run_folder(name));
    }
  }

  const TemporaryFolder folder_;
};

TEST_F(Ranks, DrawPathsAsOneProcess) { expect_same_on({1, 2, 4}, "flow-grpo"); }

TEST_F(Ranks, DrawBranchesAsOneProcess) {
  expect_same_on({2, 4}, "tempflow-grpo\n  estimator: {branches: [3, 2, 0, 0]}",
                 kFew);
}

TEST_F(Ranks, ChooseStrengthAsOneProcess) {
  expect_same_on({2}, "rsm-flow\n  estimator: {branches: [3, 2, 0, 0]}");
}

TEST_F(Ranks, TrainOnCleanPicturesAsOneProcess) {
  expect_same_on({2, 4}, "diffusion-nft", kFew);
}

TEST_F(Ranks, FollowAGradientAsOneProcess) {
  expect_same_on({2, 4}, "vgg-flow", kFew);
}

TEST_F(Ranks, TrainAllWeightsInRoundsAsOneProcess) {
  // 180 gradients of 6 MB: more than two ranks hold at a time.
  expect_same_on({2}, "flow-grpo",
                 " --set train.weights=full --set prompts.per_epoch=6 --set "
                 "prompts.samples_per_prompt=10 --set train.updates_per_epoch=1"
                 " --set compute.train_tile=1");
}

TEST_F(Ranks, SampleAndEvaluateAsOneProcess) {
  std::vector<std::string> pictures, latents, scores;
  for (const int64_t ranks : {0, 2, 3}) {
    const auto to = folder_ / std::to_string(ranks);
    // Seven pictures do not divide; a solver that draws noise does it by
    // picture.
    const auto drawn = run_on(
        ranks,
        cat("models/shapes-flow 'a red circle' --count 7 --steps 4 --solver sa "
            "-o ",
            to, ".png --latents ", to, ".safetensors"),
        "sample");
    ASSERT_EQ(drawn.status, 0) << drawn.said;
    pictures.push_back(read_file(to + ".png"));
    latents.push_back(read_file(to + ".safetensors"));
    const auto judged = run_on(
        ranks, "models/shapes-flow --images 24 --steps 4 --json", "evaluate");
    ASSERT_EQ(judged.status, 0) << judged.said;
    scores.push_back(read_file(folder_ / "out"));
  }
  for (size_t i = 1; i < scores.size(); ++i) {
    EXPECT_EQ(pictures[i], pictures[0]);
    EXPECT_EQ(latents[i], latents[0]);
    EXPECT_EQ(scores[i], scores[0]);
  }
}

TEST_F(Ranks, ThatDisagreeAreNamed) {
  const auto a = config("a", "flow-grpo");
  const std::string b = folder_ / "b.yaml";
  write_file_atomic(b, read_file(a) + "seed: 7\n");
  const auto done =
      run_on(1, cat(a, " : -n 1 ", RSM_BINARY_DIR, "/rsm finetune ", b));
  EXPECT_NE(done.status, 0);
  expect_parts(done.said, {"[ranks]", "rank 1", "config", "seed", "7"});
}

TEST_F(Ranks, AreNotTakenForRunsOfTheirOwn) {
  // As under a launcher of another MPI.
  ::setenv("PMI_SIZE", "4", 1);
  const auto done = run_on(0, config("a", "flow-grpo"));
  ::unsetenv("PMI_SIZE");
  EXPECT_EQ(done.status, 2);
  expect_parts(done.said, {"[ranks]", "4 processes", "MPI"});
  EXPECT_FALSE(fs::exists(run_folder("a")));
}

/** mpirun, as a process that can be sent signals. */
class Launched {
 public:
  Launched(const std::string& command, const std::string& said)
      : id_(fork()), said_(said) {
    if (id_ == 0) {
      const auto line = cat("exec ", command, " > /dev/null 2> ", said);
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
  }
  ~Launched() {
    if (!ended_) kill(id_, SIGKILL);
  }

  void wait_for_lines(const std::string& run, int64_t lines) const {
    const std::string log = run + "/log.jsonl";
    for (int k = 0; k < 3000; ++k) {
      const auto text = fs::exists(log) ? read_file(log) : "";
      if (std::count(text.begin(), text.end(), '\n') >= lines) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    FAIL() << "no " << lines << " lines in " << log << ": " << read_file(said_);
  }
  void signal(int number) const { kill(id_, number); }
  /** To the process of a rank. */
  void signal_rank(int64_t rank, int number) const {
    const auto wanted = cat("OMPI_COMM_WORLD_RANK=", rank);
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream file(entry.path() / "environ");
      std::string all{std::istreambuf_iterator<char>(file), {}};
      std::ifstream stat(entry.path() / "stat");
      std::string pid, name, state, parent;
      stat >> pid >> name >> state >> parent;
      if (parent == std::to_string(id_) &&
          (all + '\0').find(wanted + '\0') != std::string::npos) {
        kill(std::stoi(pid), number);
        return;
      }
    }
    FAIL() << "no process is rank " << rank;
  }
  /** Its exit status; -1 where it does not end in time. */
  int ends_within(int seconds) {
    for (int k = 0; k < 50 * seconds; ++k) {
      int status = 0;
      if (waitpid(id_, &status, WNOHANG) == id_) {
        ended_ = true;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return -1;
  }

 private:
  pid_t id_;
  std::string said_;
  bool ended_ = false;
};

TEST_F(Ranks, EndWhereOneIsKilledAndGoOnOnAnotherNumberOfThem) {
  ASSERT_EQ(run_on(0, config("whole", "flow-grpo")).status, 0);
  struct Case {
    int64_t ranks, killed, later;
  };
  for (const auto& [ranks, killed, later] :
       {Case{2, 1, 3}, Case{2, 0, 0}, Case{4, 2, 2}}) {
    const auto name = cat("killed-", killed, "-of-", ranks);
    SCOPED_TRACE(name);
    const auto path = config(name, "flow-grpo");
    const std::string said = folder_ / ("said-" + name);
    Launched run(launcher(ranks) + path, said);
    run.wait_for_lines(run_folder(name), 2);
    run.signal_rank(killed, SIGKILL);
    const int status = run.ends_within(30);
    EXPECT_NE(status, -1);
    EXPECT_NE(status, 0);
    expect_parts(read_file(said), {cat("process rank ", killed)});
    ASSERT_EQ(run_on(later, path).status, 0);
    expect_same_runs(run_folder("whole"), run_folder(name));
  }
}

TEST_F(Ranks, EndWhereOneHangs) {
  const std::string said = folder_ / "said-hung";
  Launched run(launcher(2) + config("hung", "flow-grpo", "  rank_timeout: 2\n"),
               said);
  run.wait_for_lines(run_folder("hung"), 2);
  run.signal_rank(1, SIGSTOP);
  const int status = run.ends_within(30);
  EXPECT_NE(status, -1);
  EXPECT_NE(status, 0);
  expect_parts(read_file(said), {"rank 0", "rank 1", "compute.rank_timeout"});
}

TEST_F(Ranks, StopTogetherAndGoOnAlone) {
  ASSERT_EQ(run_on(0, config("whole", "flow-grpo")).status, 0);
  const auto path = config("stopped", "flow-grpo");
  Launched run(launcher(2) + path, folder_ / "said-stopped");
  run.wait_for_lines(run_folder("stopped"), 2);
  run.signal(SIGUSR1);
  EXPECT_EQ(run.ends_within(60), 75);
  ASSERT_EQ(run_on(0, path).status, 0);
  expect_same_runs(run_folder("whole"), run_folder("stopped"));
}

/** A server that lets callers in and says nothing. */
class SilentServer {
 public:
  SilentServer() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    RSM_CHECK(bind(socket_, any, size) == 0 && listen(socket_, 8) == 0 &&
                  getsockname(socket_, any, &size) == 0,
              "[test] no socket to listen at");
    port_ = ntohs(address.sin_port);
  }
  ~SilentServer() {
    for (const int caller : callers_) close(caller);
    close(socket_);
  }
  std::string url() const { return cat("http://127.0.0.1:", port_, "/score"); }
  /** Whether so many have called, within a minute each. */
  bool has_let_in(int64_t count) {
    while (std::ssize(callers_) < count) {
      pollfd wanted = {socket_, POLLIN, 0};
      if (poll(&wanted, 1, 60'000) != 1) return false;
      callers_.push_back(accept(socket_, nullptr, nullptr));
    }
    return true;
  }

 private:
  int socket_ = socket(AF_INET, SOCK_STREAM, 0);
  int port_ = 0;
  std::vector<int> callers_;
};

/** Of a stop while they load only one may have heard: the others wait for it.
 */
TEST_F(Ranks, StopWhereOneHearsOfItBeforeTheRunBegins) {
  SilentServer judge;
  const std::string said = folder_ / "said-early";
  const auto path = config("early", "flow-grpo");
  auto text = read_file(path);
  text.replace(text.find("shapes-soft"), 11, judge.url());
  write_file_atomic(path, text);
  Launched run(launcher(2) + path, said);
  ASSERT_TRUE(judge.has_let_in(2)) << read_file(said);
  run.signal_rank(1, SIGUSR1);
  EXPECT_EQ(run.ends_within(30), 75) << read_file(said);
  expect_parts(read_file(said), {"rank 1", "before the run began"});
}

}  // namespace
}  // namespace rsm
