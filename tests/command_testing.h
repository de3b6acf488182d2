#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

/** What tests of the command share; no part of the library includes this. */
namespace rsm {

constexpr const char* kFlowModel = "models/shapes-flow";
constexpr const char* kDiffusionModel = "models/shapes-diffusion";

/** What `rsm` does with the arguments: its exit status and what it says. */
struct Command {
  int status;
  std::string said;  ///< on standard error
};

inline Command run(const std::string& arguments) {
  const TemporaryFolder folder;
  const int result = std::system(cat(RSM_BINARY_DIR, "/rsm ", arguments, " 2> ",
                                     folder / "said", " < /dev/null")
                                     .c_str());
  return {WIFSIGNALED(result) ? 128 + WTERMSIG(result) : WEXITSTATUS(result),
          read_file(folder / "said")};
}

}  // namespace rsm
