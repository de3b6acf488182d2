#include "rsm/io/folder_lock.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

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
