#include "rsm/base/workers.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace rsm {
namespace {

TEST(RunJobs, RunsEachJobOnceOnOneCore) {
  for (const int64_t workers : {1, 2, 5}) {
    std::vector<std::atomic<int>> runs(17);
    run_jobs(17, workers, [&](int64_t i) {
      ++runs[i];
      EXPECT_EQ(at::get_num_threads(), 1);
    });
    for (const auto& count : runs) {
      EXPECT_EQ(count, 1);
    }
  }
  run_jobs(0, 2, [](int64_t) { FAIL(); });
}

TEST(RunJobs, MayBeCalledFromAJobAndFromSeveralThreads) {
  std::atomic<int> runs{0};
  const auto nested = [&] {
    run_jobs(3, 2, [&](int64_t) { run_jobs(4, 2, [&](int64_t) { ++runs; }); });
  };
  std::thread other(nested);
  nested();
  other.join();
  EXPECT_EQ(runs, 24);
}

TEST(RunJobs, LeavesOtherThreadsTheirCores) {
  const auto of_new_thread = [] {
    return std::async(std::launch::async, at::get_num_threads).get();
  };
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  ASSERT_EQ(of_new_thread(), 3);
  // More workers than any test asks for, so that threads are made.
  run_jobs(40, 9, [](int64_t) { EXPECT_EQ(at::get_num_threads(), 1); });
  EXPECT_EQ(at::get_num_threads(), 3);
  EXPECT_EQ(of_new_thread(), 3);
  at::set_num_threads(before);
  run_jobs(40, 9, [](int64_t) { EXPECT_EQ(at::get_num_threads(), 1); });
}

TEST(RunJobs, RethrowsTheFirstFailureByNumberAfterAllRan) {
  std::atomic<int> runs{0};
  try {
    run_jobs(10, 3, [&](int64_t i) {
      ++runs;
      if (i == 4 || i == 7) {
        throw std::runtime_error(std::to_string(i));
      }
    });
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "4");
  }
  EXPECT_EQ(runs, 10);
}

}  // namespace
}  // namespace rsm
