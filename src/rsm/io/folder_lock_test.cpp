#include "rsm/io/folder_lock.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <thread>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

TEST(FolderLock, TheSecondIsRefusedAndToldOfTheFirst) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  NoProgress silent;
  {
    const FolderLock first(run, "[who]", silent);
    EXPECT_TRUE(first.held());
    expect_parts(error_of([&] { FolderLock(run, "[who]", silent); }),
                 {"[who]", run, cat("process ", ::getpid(), " on "), " since ",
                  "stop it"});
    // The refusal leaves the first as it was.
    EXPECT_TRUE(fs::exists(run + "/lock"));
    write_file_atomic(run + "/used", "");
  }
  EXPECT_FALSE(fs::exists(run + "/lock"));
  EXPECT_TRUE(FolderLock(run, "[who]", silent).held());
}

TEST(FolderLock, IsGoneWithAProcessThatWasKilled) {
  const TemporaryFolder folder;
  NoProgress silent;
  int ready[2] = {};
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder.path(), "[child]", silent);
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  expect_parts(error_of([&] { FolderLock(folder.path(), "[who]", silent); }),
               {cat("process ", child, " on ")});
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(fs::exists(folder / "lock"));
  EXPECT_TRUE(FolderLock(folder.path(), "[who]", silent).held());
  EXPECT_FALSE(fs::exists(folder / "lock"));
}

/** From now on this thread's flock() fails as on a file system that has none.
 * False where the system does not let it. */
bool loses_locks() {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOLCK),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog filter = {std::size(steps), steps};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(FolderLock, WarnsWhereTheFileSystemHasNone) {
  class Heard : public NoProgress {
   public:
    void say(const std::string& line) override { all += line; }
    std::string all;
  };
  const TemporaryFolder folder;
  Heard heard;
  bool can = false, held = true;
  std::thread([&] {
    can = loses_locks();
    if (can) held = FolderLock(folder.path(), "[who]", heard).held();
  }).join();
  if (!can) GTEST_SKIP() << "system calls can't be refused here";
  EXPECT_FALSE(held);
  expect_parts(heard.all, {"warning", folder / "lock", "No locks available",
                           "no other process"});
}

TEST(FolderLock, LeavesNoEmptyFolderThatItMade) {
  const TemporaryFolder folder;
  NoProgress silent;
  { const FolderLock lock(folder / "new", "[who]", silent); }
  EXPECT_FALSE(fs::exists(folder / "new"));
  { const FolderLock lock(folder.path(), "[who]", silent); }
  EXPECT_TRUE(fs::exists(folder.path()));
}

TEST(FolderLock, AFolderThatCannotBeIsNamed) {
  const TemporaryFolder folder;
  NoProgress silent;
  write_file_atomic(folder / "file", "");
  expect_parts(
      error_of([&] { FolderLock(folder / "file/run", "[who]", silent); }),
      {folder / "file/run"});
}

}  // namespace
}  // namespace rsm
