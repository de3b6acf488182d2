#pragma once

#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "rsm/base/communicator.h"

namespace rsm {

/** Ranks that are threads of one process, for tests without a launcher. */
class ThreadRanks {
 public:
  /** Runs work(rank) on so many ranks at once, and waits for all. */
  static void run(int64_t size,
                  const std::function<void(Communicator&)>& work) {
    ThreadRanks all(size);
    std::vector<std::thread> threads;
    for (int64_t r = 0; r < size; ++r) {
      threads.emplace_back([&, r] {
        Rank rank(all, r);
        work(rank);
      });
    }
    for (auto& thread : threads) thread.join();
  }

 private:
  explicit ThreadRanks(int64_t size) : size_(size) {}

  class Rank : public Communicator {
   public:
    Rank(ThreadRanks& all, int64_t rank) : all_(all), rank_(rank) {}
    int64_t rank() const override { return rank_; }
    int64_t size() const override { return all_.size_; }
    std::vector<std::string> gather(const std::string& bytes) override {
      const int64_t call = calls_++;
      std::vector<std::string> out;
      for (int64_t r = 0; r < size(); ++r) {
        all_.put({call, rank_, r}, bytes);
      }
      for (int64_t r = 0; r < size(); ++r) {
        out.push_back(all_.take({call, r, rank_}));
      }
      return out;
    }
    void broadcast(torch::Tensor& values, int64_t from) override {
      fill(values, gather(from == rank_ ? bytes_of(values) : "")[from]);
    }
    void send(const torch::Tensor& values, int64_t to) override {
      all_.put({-1 - sent_[to]++, rank_, to}, bytes_of(values));
    }
    void receive(torch::Tensor& values, int64_t from) override {
      fill(values, all_.take({-1 - received_[from]++, from, rank_}));
    }

   private:
    static std::string bytes_of(const torch::Tensor& values) {
      return {static_cast<const char*>(values.const_data_ptr()),
              static_cast<size_t>(values.nbytes())};
    }
    static void fill(torch::Tensor& values, const std::string& bytes) {
      std::memcpy(values.data_ptr(), bytes.data(), bytes.size());
    }

    ThreadRanks& all_;
    int64_t rank_;
    int64_t calls_ = 0;
    std::map<int64_t, int64_t> sent_, received_;
  };

  using Key = std::vector<int64_t>;  ///< call, from, to

  void put(const Key& key, const std::string& bytes) {
    const std::lock_guard lock(mutex_);
    mail_[key] = bytes;
    wake_.notify_all();
  }
  std::string take(const Key& key) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [&] { return mail_.contains(key); });
    auto node = mail_.extract(key);
    return node.mapped();
  }

  int64_t size_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<Key, std::string> mail_;
};

}  // namespace rsm
