#include "rsm/base/workers.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <exception>
#include <latch>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace rsm {
namespace {

/** Threads that stay: kernels keep scratch memory and prepared code for each
 * thread, which new ones would have to make again. */
class Pool {
 public:
  static Pool& instance() {
    static Pool pool;
    return pool;
  }
  ~Pool() {
    {
      const std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_) {
      thread.join();
    }
  }

  static bool is_own_thread() { return own_; }

  /** Runs `work` on so many threads at once, and waits for all. */
  void run(int64_t count, const std::function<void()>& work) {
    // Shared: the last thread may still be in count_down when wait returns.
    const auto done = std::make_shared<std::latch>(count);
    const int cores = at::get_num_threads();
    {
      const std::lock_guard lock(mutex_);
      for (int64_t i = 0; i < count; ++i) {
        tasks_.emplace_back([&work, done] {
          work();
          done->count_down();
        });
      }
      add_threads(count - std::ssize(threads_), cores);
    }
    wake_.notify_all();
    done->wait();
  }

 private:
  /** Each computes on one core. LibTorch also keeps what was set last as what
   * new threads begin with: a thread of its own sets back the number of others,
   * as setting it here would change this thread's. */
  void add_threads(int64_t count, int cores_of_others) {
    if (count <= 0) {
      return;
    }
    const auto ready = std::make_shared<std::latch>(count);
    for (int64_t i = 0; i < count; ++i) {
      threads_.emplace_back([this, ready] {
        at::get_num_threads();  // or its first look would undo the setting
        at::set_num_threads(1);
        ready->count_down();
        serve();
      });
    }
    ready->wait();
    std::thread([=] { at::set_num_threads(cores_of_others); }).join();
  }

  void serve() {
    own_ = true;
    while (true) {
      std::function<void()> task;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return closing_ || !tasks_.empty(); });
        if (tasks_.empty()) {
          return;
        }
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  static inline thread_local bool own_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<std::thread> threads_;
  bool closing_ = false;
};

}  // namespace

void run_jobs(int64_t count, int64_t workers,
              const std::function<void(int64_t)>& job) {
  std::atomic<int64_t> next{0};
  std::vector<std::exception_ptr> failures(count);
  const auto work = [&] {
    for (int64_t i = next++; i < count; i = next++) {
      try {
        job(i);
      } catch (...) {
        failures[i] = std::current_exception();
      }
    }
  };
  if (Pool::is_own_thread()) {
    work();  // a job's own jobs: its core is this one
  } else {
    Pool::instance().run(std::min(workers, count), work);
  }
  for (const auto& failure : failures) {
    if (failure) {
      std::rethrow_exception(failure);
    }
  }
}

}  // namespace rsm
