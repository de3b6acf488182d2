#include "rsm/runs/memory_advice.h"

#include <c10/util/Exception.h>
#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

#include "rsm/io/testing.h"

namespace rsm {
namespace {

std::string told(const std::function<void()>& work) {
  return error_of([&] { with_memory_advice("the rollout", "lower x", work); });
}

TEST(MemoryAdvice, SaysHowMuchWasAskedForByWhatAndWhatLowersIt) {
  expect_parts(told([] {
                 TORCH_CHECK(false,
                             "[enforce fail at alloc_cpu.cpp:129] err == 0. "
                             "DefaultCPUAllocator: can't allocate memory: you "
                             "tried to allocate 3221225472 bytes. Error code "
                             "12 (Cannot allocate memory)");
               }),
               {"out of memory", "the rollout", "3.0 GiB", "lower x"});
  expect_parts(told([] {
                 TORCH_CHECK_WITH(OutOfMemoryError, false,
                                  "CUDA out of memory. Tried to allocate 2.50 "
                                  "GiB. GPU 0 has a total capacity of");
               }),
               {"2.50 GiB", "the rollout"});
  expect_parts(told([] { throw std::bad_alloc(); }), {"more than there is"});
  // A size that no memory has.
  expect_parts(told([] { at::empty({int64_t{1} << 55}); }),
               {"out of memory", "the rollout", "TiB"});
}

TEST(MemoryAdvice, LeavesOtherExceptionsAsTheyAre) {
  const auto pass = [](const std::function<void()>& work) {
    with_memory_advice("the rollout", "lower x", work);
  };
  EXPECT_THROW(pass([] { throw std::runtime_error("else"); }),
               std::runtime_error);
  EXPECT_THROW(pass([] { at::zeros({2}).view({3}); }), c10::Error);
  EXPECT_THROW(pass([] { throw Interrupted("stop"); }), Interrupted);
  bool done = false;
  pass([&] { done = true; });
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace rsm
