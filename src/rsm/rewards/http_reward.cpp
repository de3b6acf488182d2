#include "rsm/rewards/http_reward.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"
#include "rsm/io/json_text.h"
#include "rsm/rewards/answers.h"
#include "rsm/rewards/asked_reward.h"
#include "rsm/rewards/http_client.h"
#include "rsm/rewards/patience.h"
#include "rsm/rewards/requests.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr double kLongestPause = 8;  // seconds
constexpr double kMostAsked = 60;    // seconds of a server's Retry-After
constexpr std::chrono::milliseconds kBetweenTries{100};  // to take a turn
constexpr int kRequestTimeout = 408, kTooManyRequests = 429, kServerError = 500;

std::string describe(const HttpAnswer& answer) {
  return answer.status == 0
             ? answer.problem
             : cat("status ", answer.status, " \"", quoted(answer.body), "\"");
}

/** The same for a list of what was mended: without what changes from one to
 * the next. */
std::string kind_of(const HttpAnswer& answer) {
  return answer.status == 0 ? answer.problem : cat("status ", answer.status);
}

bool may_pass(const HttpAnswer& answer) {
  return answer.status == 0 || answer.status == kRequestTimeout ||
         answer.status == kTooManyRequests || answer.status >= kServerError;
}

class Turn {
 public:
  /** Waits for it. */
  Turn(Turns& turns, const Progress& progress) : turns_(turns) {
    while (!turns_.try_acquire_for(kBetweenTries)) {
      progress.stop_point();
    }
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { turns_.release(); }

 private:
  Turns& turns_;
};

/** The pictures of a range as PNG files in base64. */
std::vector<std::string> pngs_of(const torch::Tensor& images,
                                 const PictureRange& range) {
  std::vector<std::string> pngs(range.count);
  at::parallel_for(0, range.count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      pngs[i] = base64(encode_png(images[range.first + i]));
    }
  });
  return pngs;
}

/** Runs `work`, which does not throw, on so many threads. */
void work_at_once(int64_t threads, const std::function<void()>& work) {
  std::vector<std::future<void>> others;
  for (int64_t i = 1; i < threads; ++i) {
    others.push_back(std::async(std::launch::async, work));
  }
  work();
}

class HttpReward : public AskedReward {
 public:
  HttpReward(HttpOptions options, const Progress& progress)
      : AskedReward(cat("reward ", options.address), options.batch,
                    options.groups),
        options_(std::move(options)),
        progress_(progress),
        turns_(options_.turns ? options_.turns
                              : std::make_shared<Turns>(options_.requests)),
        address_(parse_http_address(options_.address)) {}

  std::string name() const override { return options_.address; }

  void check() const override {
    HttpAddress health = address_;
    health.path = "/health";
    ask({"GET", health, ""}, cat("GET ", health.origin, health.path),
        "status 200 is needed; start the server, or correct the address");
  }

 private:
  RewardScores judge_all(const torch::Tensor& images, const Prompts& prompts,
                         const std::vector<PictureRange>& ranges,
                         const std::vector<int64_t>& group) const override {
    std::vector<RewardScores> scores(ranges.size());
    std::vector<std::exception_ptr> failures(ranges.size());
    std::atomic<size_t> next{0};
    const auto work = [&] {
      for (size_t i = next++; i < ranges.size(); i = next++) {
        try {
          scores[i] = judge(images, prompts, ranges[i], group);
        } catch (...) {
          failures[i] = std::current_exception();
          next = ranges.size();
        }
      }
    };
    work_at_once(std::min(options_.requests, std::ssize(ranges)), work);
    for (const auto& failure : failures) {
      if (failure) std::rethrow_exception(failure);
    }
    RewardScores all = join_scores(who(), scores);
    const std::lock_guard lock(mutex_);
    add_mended(all, std::exchange(mended_, {}));
    return all;
  }

  RewardScores judge(const torch::Tensor& images, const Prompts& prompts,
                     const PictureRange& range,
                     const std::vector<int64_t>& group) const {
    json body = told_of(who(), prompts, range, group);
    body["images"] = pngs_of(images, range);
    const auto answer =
        ask({"POST", address_, json_line(body)}, range.text(), kMendReward);
    return read_scores(who(), parse_answer(who(), answer.body), range, prompts);
  }

  /** The answer of status 200 to 299, sooner or later. */
  HttpAnswer ask(const HttpRequest& request, const std::string& about,
                 const std::string& what_to_do) const {
    const Turn turn(*turns_, progress_);
    double pause = options_.pause_seconds;
    for (int64_t tried = 1;; ++tried) {
      HttpAnswer answer =
          http_request(request, options_.timeout_seconds, progress_);
      if (answer.status >= 200 && answer.status < 300) {
        return answer;
      }
      if (!may_pass(answer) || tried > options_.retries) {
        throw Error(cat("[", who(), "] ", describe(answer), " for ", about,
                        ", asked ", tried, tried == 1 ? " time" : " times",
                        "; ", what_to_do));
      }
      count(kind_of(answer));
      const double asked = std::min(answer.retry_after, kMostAsked);
      Patience(std::max(pause, asked), progress_).sleep();
      pause = std::min(2 * pause, kLongestPause);
    }
  }

  void count(const std::string& failure) const {
    const std::lock_guard lock(mutex_);
    ++mended_[cat(name(), " was asked again (", failure, ")")];
  }

  const HttpOptions options_;
  const Progress& progress_;
  const std::shared_ptr<Turns> turns_;
  const HttpAddress address_;
  mutable std::mutex mutex_;
  /** As RewardScores has it, of requests whose scores are not yet given. */
  mutable std::map<std::string, int64_t> mended_;
};

}  // namespace

std::unique_ptr<Reward> make_http_reward(const HttpOptions& options,
                                         const Progress& progress) {
  return std::make_unique<HttpReward>(options, progress);
}

}  // namespace rsm
