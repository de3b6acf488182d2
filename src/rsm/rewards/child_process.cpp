#include "rsm/rewards/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/printable.h"
#include "rsm/rewards/pipe_signal.h"

namespace rsm {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr double kGoodbye = 0.5;          // seconds to end at end of input
constexpr double kTerminating = 1;        // seconds from SIGTERM to SIGKILL
constexpr double kEnding = 1;             // seconds from closed output to exit
constexpr milliseconds kBetweenLooks{5};  // whether it has exited
constexpr milliseconds kAttention{100};   // the same, while waiting for output
constexpr size_t kPiece = 1 << 16;        // bytes read at once: a pipe's
constexpr size_t kLongestLine = 1 << 24;  // bytes
constexpr int kLastPieces = 16;           // of stderr: it may never stop
constexpr size_t kWordsKept = 4000;       // bytes of stderr
constexpr int kLinesShown = 10;           // of stderr

struct Pipe {
  FileHandle read;
  FileHandle write;

  Pipe() {
    std::array<int, 2> ends;
    RSM_CHECK(pipe2(ends.data(), O_CLOEXEC) == 0,
              "[process] no pipe can be made: ", std::strerror(errno),
              "; close other programs, or raise `ulimit -n`");
    read = FileHandle(ends[0]);
    write = FileHandle(ends[1]);
  }
};

/** Starts the shell on a script in a group of its own, with its standard
 * files. */
pid_t spawn(const std::string& script, int input, int output, int errors) {
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&files, errors, STDERR_FILENO);
  posix_spawnattr_t how;
  posix_spawnattr_init(&how);
  posix_spawnattr_setflags(&how,
                           POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setpgroup(&how, 0);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&how, &none);
  std::string shell = "sh", option = "-c", text = script;
  const std::array<char*, 4> words = {shell.data(), option.data(), text.data(),
                                      nullptr};
  pid_t id = -1;
  const int error =
      posix_spawn(&id, "/bin/sh", &files, &how, words.data(), environ);
  posix_spawnattr_destroy(&how);
  posix_spawn_file_actions_destroy(&files);
  RSM_CHECK(error == 0, "[process] cannot start /bin/sh for \"", script,
            "\": ", std::strerror(error));
  return id;
}

void reap(pid_t id) {
  while (waitpid(id, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

/** A shell that waits for the end of its input, which is that of this process,
 * however it ends; then it ends a process group as ~ChildProcess does. */
class OrphanGuard {
 public:
  OrphanGuard() {
    Pipe pipe;
    const FileHandle nowhere(open("/dev/null", O_WRONLY | O_CLOEXEC));
    id_ = spawn(cat("read group || exit; read end; sleep ", kGoodbye,
                    "; kill -s TERM -- -$group; sleep ", kTerminating,
                    "; kill -s KILL -- -$group"),
                pipe.read.number(), nowhere.number(), nowhere.number());
    input_ = std::move(pipe.write);
  }
  OrphanGuard(const OrphanGuard&) = delete;
  OrphanGuard& operator=(const OrphanGuard&) = delete;
  ~OrphanGuard() {
    kill(-id_, SIGKILL);
    reap(id_);
  }

  /** Where somebody has ended the guard, the program runs without. */
  void watch(pid_t group) {
    const NoPipeSignal no_pipe_signal;
    const std::string line = cat(group, "\n");
    [[maybe_unused]] const ssize_t written =
        write(input_.number(), line.data(), line.size());
  }

 private:
  pid_t id_ = -1;
  FileHandle input_;
};

ChildProcess::ChildProcess(const std::string& command)
    : guard_(std::make_unique<OrphanGuard>()) {
  Pipe input, output, errors;
  // The program's end of the pipe still blocks.
  fcntl(input.write.number(), F_SETFL, O_NONBLOCK);
  id_ = spawn(cat("exec ", command), input.read.number(), output.write.number(),
              errors.write.number());
  guard_->watch(id_);
  input_ = std::move(input.write);
  output_ = std::move(output.read);
  errors_ = std::move(errors.read);
}

ChildProcess::~ChildProcess() {
  input_.close();
  if (!exits_within(kGoodbye)) {
    kill(-id_, SIGTERM);
    exits_within(kTerminating);
  }
  // Also what it started and left behind; its number is its own until waitpid.
  kill(-id_, SIGKILL);
  guard_.reset();
  reap(id_);
}

ChildProcess::Reply ChildProcess::exchange(std::string_view request,
                                           Deadline deadline) {
  const NoPipeSignal no_pipe_signal;
  Reply reply;
  bool exited = false;
  while (true) {
    if (take_line(reply.line)) {
      reply.outcome = Outcome::answered;
      reply.took_all = request.empty();
      return reply;
    }
    if (!output_.is_open() || received_.size() > kLongestLine) {
      return reply;
    }
    const auto left = time_left(deadline);
    if (left == milliseconds(0)) {
      reply.outcome = Outcome::late;
      reply.line = received_;
      return reply;
    }
    // poll passes over files of the number -1.
    std::array<pollfd, 3> files = {
        {{request.empty() ? -1 : input_.number(), POLLOUT, 0},
         {output_.number(), POLLIN, 0},
         {errors_.number(), POLLIN, 0}}};
    const auto wait = exited ? milliseconds(0) : std::min(left, kAttention);
    const int ready =
        poll(files.data(), files.size(), static_cast<int>(wait.count()));
    if (ready == 0 && exited) {
      return reply;  // something it started still holds its output
    }
    exited = ready == 0 && has_exited();
    if (ready <= 0) {
      continue;
    }
    if (files[0].revents != 0) send(request);
    if (files[1].revents != 0) receive(output_, received_);
    if (files[2].revents != 0) receive(errors_, words_);
    keep_end_of_errors();
  }
}

void ChildProcess::send(std::string_view& rest) {
  const ssize_t written = write(input_.number(), rest.data(), rest.size());
  if (written >= 0) {
    rest.remove_prefix(static_cast<size_t>(written));
  } else if (errno != EAGAIN && errno != EINTR) {
    input_.close();  // it may still have said why
  }
}

void ChildProcess::receive(FileHandle& from, std::string& into) {
  std::array<char, kPiece> piece;
  const ssize_t size = read(from.number(), piece.data(), piece.size());
  if (size > 0) {
    into.append(piece.data(), static_cast<size_t>(size));
  } else if (size == 0 || errno != EINTR) {
    from.close();
  }
}

bool ChildProcess::take_line(std::string& line) {
  const size_t end = received_.find('\n');
  if (end == std::string::npos) {
    return false;
  }
  line = received_.substr(0, end);
  received_.erase(0, end + 1);
  return true;
}

void ChildProcess::keep_end_of_errors() {
  if (words_.size() > kWordsKept) {
    words_.erase(0, words_.size() - kWordsKept);
  }
}

bool ChildProcess::has_exited() const {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(id_), &info,
                WEXITED | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == id_;
}

bool ChildProcess::exits_within(double seconds) const {
  const Deadline deadline = deadline_in(seconds);
  while (!has_exited()) {
    if (steady_clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(kBetweenLooks);
  }
  return true;
}

std::string ChildProcess::ending() {
  if (!exits_within(kEnding)) {
    return output_.is_open() ? "printed 16 MiB without a line end"
                             : "closed its output";
  }
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOWAIT);
  if (info.si_code == CLD_EXITED) {
    return cat("ended with exit status ", info.si_status);
  }
  return cat("was killed by signal ", info.si_status, " (",
             strsignal(info.si_status), ")");
}

std::string ChildProcess::last_words() {
  pollfd file = {errors_.number(), POLLIN, 0};
  for (int i = 0; i < kLastPieces && errors_.is_open(); ++i) {
    if (poll(&file, 1, 0) <= 0) {
      break;
    }
    receive(errors_, words_);
    keep_end_of_errors();
  }
  const size_t last = words_.find_last_not_of(" \n\r\t");
  if (last == std::string::npos) {
    return "";
  }
  const std::string text = words_.substr(0, last + 1);
  size_t begin = text.size();
  for (int line = 0; line < kLinesShown && begin != std::string::npos; ++line) {
    begin = begin == 0 ? std::string::npos : text.rfind('\n', begin - 1);
  }
  std::string out = "  ";
  for (const char c :
       printable(text.substr(begin == std::string::npos ? 0 : begin + 1),
                 kWordsKept)) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

}  // namespace rsm
