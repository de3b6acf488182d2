#include "rsm/base/workers.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace rsm {

void run_jobs(int64_t count, int64_t workers,
              const std::function<void(int64_t)>& job) {
  std::atomic<int64_t> next{0};
  std::vector<std::exception_ptr> failures(count);
  const auto work = [&] {
    at::set_num_threads(1);  // of this thread only
    for (int64_t i = next++; i < count; i = next++) {
      try {
        job(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (int64_t w = 0; w < std::min(workers, count); ++w) {
    threads.emplace_back(work);
  }
  for (auto& thread : threads) {
    thread.join();
  }
  for (const auto& failure : failures) {
    if (failure) {
      std::rethrow_exception(failure);
    }
  }
}

}  // namespace rsm
