#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

#include "rsm/io/file_handle.h"
#include "rsm/rewards/patience.h"

namespace rsm {

class OrphanGuard;

/** A program of the user's that answers requests on its standard input by
 * lines on its standard output. What it writes to stderr is taken, too, and
 * its end kept.
 *
 * It leads a process group of its own: Ctrl-C in a terminal does not reach it.
 * Its end of input tells it to end; the destructor gives it a moment for that,
 * then sends SIGTERM, then SIGKILL, to the whole group, and leaves no zombie.
 * Where this process dies without a destructor, a guard does the same.
 * For one thread at a time.
 *
 * The process that uses it must ignore SIGPIPE, as main does: a program may end
 * while it is written to, which exchange() then tells. Programs are started
 * with the signal's default. */
class ChildProcess {
 public:
  enum class Outcome {
    answered,  ///< a line has come
    late,      ///< the time has passed
    ended,     ///< no line can come any more: see ending()
  };
  struct Reply {
    Outcome outcome = Outcome::ended;
    std::string line;       ///< without its end; what has come, where late
    bool took_all = false;  ///< the request was written to its end
  };

  /** Starts `sh -c "exec COMMAND"`. Throws rsm::Error where no process can be
   * made; that the shell knows no such command shows in the first reply. */
  explicit ChildProcess(const std::string& command);
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  /** Writes `request` (it may be empty) and waits for a line. Throws
   * Interrupted where `patience` does. */
  Reply exchange(std::string_view request, const Patience& patience);

  /** Why it is at its end: "ended with exit status 3", "was killed by signal 9
   * (Killed)", "closed its output" or "printed 16 MiB without a line end".
   * Waits a moment for the first two. */
  std::string ending();

  /** The last lines of its stderr so far, each indented; "" without any. */
  std::string last_words();

 private:
  bool has_exited() const;
  bool exits_within(double seconds) const;
  bool take_line(std::string& line);
  void send(std::string_view& rest);
  void receive(FileHandle& from, std::string& into);
  void keep_end_of_errors();

  std::unique_ptr<OrphanGuard> guard_;
  pid_t id_ = -1;
  FileHandle input_;  ///< its standard input, written here
  FileHandle output_;
  FileHandle errors_;
  std::string received_;  ///< of its output, not yet taken as lines
  std::string words_;     ///< the end of its stderr
};

}  // namespace rsm
