// A run that asks for more memory than there is says so for people.

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"

namespace rsm {
namespace {

TEST(OutOfMemory, IsToldWithTheStationTheSizeAndTheKeyThatLowersIt) {
  const TemporaryFolder folder;
  const std::string said = folder / "said.txt";
  // A tile of which one layer's activations have 2 GiB, within 3.5 GB.
  const int status = std::system(
      cat("ulimit -v 3500000; ", RSM_BINARY_DIR,
          "/rsm finetune configs/shapes/demo.yaml --set folder=",
          folder / "run",
          " --set evaluation.images=6 --set evaluation.steps=2"
          " --set compute.threads=1 --set compute.rollout_tile=65536 >",
          said, " 2>&1")
          .c_str());
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const auto text = read_file(said);
  expect_parts(text, {"out of memory", "an evaluation", "iB",
                      "compute.rollout_tile (65536)", "evaluation.images (6)"});
  EXPECT_EQ(text.find("frame #"), std::string::npos) << text;
}

}  // namespace
}  // namespace rsm
