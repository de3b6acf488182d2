#include "rsm/rewards/child_process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "rsm/rewards/testing.h"

namespace rsm {
namespace {

using Outcome = ChildProcess::Outcome;

constexpr double kPlenty = 60;  // seconds

Patience within(double seconds) { return {seconds, kNeverStops}; }

/** Whether a process runs: it is there and no zombie. */
bool runs(const std::string& id) {
  std::ifstream file("/proc/" + id + "/stat");
  std::string number, name, state;
  return (file >> number >> name >> state) && state != "Z" && state != "X";
}

/** Ends within some seconds. A killed process that is nobody's child here is
 * gone a moment after the signal. */
bool ends(const std::string& id) {
  for (int i = 0; i < 2000 && runs(id); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return !runs(id);
}

/** How a program ends that answers nothing. */
std::string ending(const std::string& command) {
  ChildProcess program(command);
  EXPECT_EQ(program.exchange("", within(kPlenty)).outcome, Outcome::ended);
  return program.ending();
}

TEST(ChildProcess, AnswersLineByLine) {
  ChildProcess cat("cat");
  for (const std::string text : {"one", "", "three \xc3\xa4"}) {
    const auto reply = cat.exchange(text + "\n", within(kPlenty));
    EXPECT_EQ(reply.outcome, Outcome::answered);
    EXPECT_EQ(reply.line, text);
    EXPECT_TRUE(reply.took_all);
  }
  // Lines that came together are given one by one.
  EXPECT_EQ(cat.exchange("a\nb\n", within(kPlenty)).line, "a");
  EXPECT_EQ(cat.exchange("", within(kPlenty)).line, "b");
}

TEST(ChildProcess, TakesMoreThanAPipeHoldsInBothDirections) {
  // It also fills its stderr, which has to be emptied meanwhile.
  ChildProcess program("sh -c 'head -c 300000 /dev/zero >&2; cat'");
  const std::string text(1 << 20, 'x');
  const auto reply = program.exchange(text + "\n", within(kPlenty));
  EXPECT_EQ(reply.outcome, Outcome::answered);
  EXPECT_EQ(reply.line, text);
}

TEST(ChildProcess, TellsHowItEnded) {
  EXPECT_EQ(ending("true"), "ended with exit status 0");
  EXPECT_EQ(ending("sh -c 'exit 7'"), "ended with exit status 7");
  EXPECT_EQ(ending("sh -c 'kill -9 $$'"), "was killed by signal 9 (Killed)");
  EXPECT_EQ(ending("no-such-program"), "ended with exit status 127");
}

TEST(ChildProcess, TellsThatItsOutputIsClosed) {
  EXPECT_EQ(ending("sh -c 'exec >&-; sleep 100'"), "closed its output");
}

TEST(ChildProcess, DoesNotReadALineWithoutEnd) {
  EXPECT_EQ(ending("head -c 20000000 /dev/zero"),
            "printed 16 MiB without a line end");
}

TEST(ChildProcess, ItsEndShowsThoughWhatItStartedHoldsTheOutput) {
  ChildProcess program("sh -c 'sleep 100 & exit 4'");
  EXPECT_EQ(program.exchange("", within(kPlenty)).outcome, Outcome::ended);
  EXPECT_EQ(program.ending(), "ended with exit status 4");
}

TEST(ChildProcess, KeepsTheLastWords) {
  ChildProcess program("sh -c 'seq 1 5000 >&2; echo; cat'");
  EXPECT_EQ(program.exchange("", within(kPlenty)).outcome, Outcome::answered);
  const auto words = program.last_words();
  expect_parts(words, {"  4991\n", "  5000"});
  EXPECT_EQ(words.find("4990"), std::string::npos);
  EXPECT_EQ(ChildProcess("cat").last_words(), "");
}

TEST(ChildProcess, GivesUpInTime) {
  ChildProcess program("sleep 100");
  EXPECT_EQ(program.exchange("x", within(0.2)).outcome, Outcome::late);
  // It reads nothing: the request does not fit into the pipe.
  const auto reply = program.exchange(std::string(1 << 20, 'x'), within(0.2));
  EXPECT_EQ(reply.outcome, Outcome::late);
  EXPECT_FALSE(reply.took_all);
}

TEST(ChildProcess, WritingToOneThatReadsNoMoreIsNoDeath) {
  ChildProcess program("sh -c 'exec <&-; echo; sleep 0.2'");
  program.exchange("", within(kPlenty));
  const auto reply =
      program.exchange(std::string(1 << 20, 'x'), within(kPlenty));
  EXPECT_EQ(reply.outcome, Outcome::ended);
}

TEST(ChildProcess, EndsAtTheEndOfItsInput) {
  const TemporaryFolder folder;
  const auto file = folder / "last";
  {
    // Deaf to SIGTERM: however busy the machine, it comes to its last line.
    ChildProcess program(
        "sh -c 'trap \"\" TERM; echo; cat >/dev/null; echo bye >\"" + file +
        "\"'");
    program.exchange("", within(kPlenty));
  }
  EXPECT_EQ(read_file(file), "bye\n");
}

TEST(ChildProcess, IsEndedWithAllItStarted) {
  std::string parent, child;
  {
    // Deaf to the end of its input and to SIGTERM.
    ChildProcess program(
        "sh -c 'trap \"\" TERM; sleep 1000 & echo $$; echo $!; wait; sleep "
        "1000'");
    parent = program.exchange("", within(kPlenty)).line;
    child = program.exchange("", within(kPlenty)).line;
    EXPECT_TRUE(runs(parent));
    EXPECT_TRUE(runs(child));
  }
  EXPECT_FALSE(std::filesystem::exists("/proc/" + parent)) << "a zombie";
  EXPECT_TRUE(ends(child));
}

TEST(ChildProcess, IsEndedThoughItsParentIsKilled) {
  int ends_of_pipe[2];
  ASSERT_EQ(pipe(ends_of_pipe), 0);
  const pid_t killed = fork();
  if (killed == 0) {
    // Deaf to the end of its input and to SIGTERM.
    ChildProcess program(
        "sh -c 'trap \"\" TERM; sleep 1000 & echo $$ $!; wait; sleep 1000'");
    const auto ids = program.exchange("", within(kPlenty)).line + "\n";
    if (write(ends_of_pipe[1], ids.data(), ids.size()) < 0) _exit(1);
    raise(SIGKILL);
  }
  close(ends_of_pipe[1]);
  std::string ids;
  for (char c; ::read(ends_of_pipe[0], &c, 1) == 1;) ids += c;
  close(ends_of_pipe[0]);
  waitpid(killed, nullptr, 0);
  std::istringstream words(ids);
  std::string parent, child;
  ASSERT_TRUE(words >> parent >> child) << ids;
  EXPECT_TRUE(ends(parent));
  EXPECT_TRUE(ends(child));
}

TEST(ChildProcess, ItsLastWordsAreFitToBeShown) {
  ChildProcess program("sh -c \"printf '\\033[2J\\377 no' >&2; echo; cat\"");
  program.exchange("", within(kPlenty));
  EXPECT_EQ(program.last_words(), "  \\x1b[2J\\xff no");
}

TEST(ChildProcess, HasTheDefaultOfThePipeSignalThatIsIgnoredHere) {
  EXPECT_EQ(std::signal(SIGPIPE, SIG_IGN), SIG_IGN);
  EXPECT_EQ(ending("sh -c 'kill -s PIPE $$'"),
            "was killed by signal 13 (Broken pipe)");
}

TEST(ChildProcess, IsEndedWhereItsPatienceHearsOfAStop) {
  std::string id;
  {
    ChildProcess program("sh -c 'echo $$; exec sleep 1000'");
    id = program.exchange("", within(kPlenty)).line;
    const StopsAt third(3);
    EXPECT_THROW(
        program.exchange(std::string(1 << 20, 'x'), Patience(kPlenty, third)),
        Interrupted);
    EXPECT_EQ(third.looks(), 4);
  }
  EXPECT_FALSE(std::filesystem::exists("/proc/" + id));
}

}  // namespace
}  // namespace rsm
