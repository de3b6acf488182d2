#include "rsm/rewards/exec_reward.h"

#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/rewards/answers.h"
#include "rsm/rewards/child_process.h"
#include "rsm/rewards/pictures.h"

namespace rsm {
namespace {

using nlohmann::json;
using Process = std::unique_ptr<ChildProcess>;

/** One line of JSON; what is no UTF-8 is replaced. */
std::string line_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

class ExecReward : public Reward {
 public:
  explicit ExecReward(ExecOptions options)
      : options_(std::move(options)), who_(cat("reward ", name())) {}

  std::string name() const override { return cat("exec:", options_.command); }

  bool waits() const override { return true; }

  void check() const override {
    const std::lock_guard lock(mutex_);
    if (process_ == nullptr) {
      process_ = start();
    }
  }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    check_pictures(who_, images, prompts);
    const std::lock_guard lock(mutex_);
    restarts_ = 0;
    std::vector<RewardScores> scores;
    for (const auto& range : picture_ranges(images.size(0), options_.batch)) {
      scores.push_back(judge(images, prompts, range));
    }
    return join_scores(who_, scores);
  }

 private:
  RewardScores judge(const torch::Tensor& images, const Prompts& prompts,
                     const PictureRange& range) const {
    const auto pixels =
        picture_bytes(images.narrow(0, range.first, range.count));
    json header = {{"count", range.count},
                   {"height", pixels.size(1)},
                   {"width", pixels.size(2)},
                   {"channels", 3},
                   {"prompts", json::array()}};
    for (int64_t i = 0; i < range.count; ++i) {
      header["prompts"].push_back(prompts[range.first + i].text);
    }
    for (bool again = false;; again = true) {
      // Given back only after a right answer, so that any error ends it.
      Process process = process_ ? std::move(process_) : start();
      header["id"] = ++last_id_;
      std::string request = line_of(header);
      request.append(
          reinterpret_cast<const char*>(pixels.const_data_ptr<uint8_t>()),
          static_cast<size_t>(pixels.numel()));
      const auto reply =
          process->exchange(request, deadline_in(options_.timeout_seconds));
      if (reply.outcome == ChildProcess::Outcome::answered) {
        try {
          auto scores = read_reply(reply, range, prompts);
          process_ = std::move(process);
          return scores;
        } catch (const Error& wrong) {
          throw Error(cat(wrong.what(), words(*process)));
        }
      }
      if (again || restarts_ == options_.retries) {
        fail(*process, reply, range);
      }
      ++restarts_;
    }
  }

  RewardScores read_reply(const ChildProcess::Reply& reply,
                          const PictureRange& range,
                          const Prompts& prompts) const {
    const json answer = parse_answer(who_, reply.line);
    const json id = answer.is_object() ? answer.value("id", json()) : json();
    const bool failed = !error_in(answer).is_null();
    RSM_CHECK(failed || id == last_id_, "[", who_, "] answered with the id ",
              id.dump(), "; the request's is ", last_id_,
              ": print one line for each request, and nothing else, on its "
              "standard output; ",
              kMendReward);
    auto scores = read_scores(who_, answer, range, prompts);
    RSM_CHECK(reply.took_all, "[", who_, "] answered for ", range.text(),
              " before it had read them; read count x height x width x "
              "channels bytes after each line; ",
              kMendReward);
    return scores;
  }

  /** Runs the program and waits until it is ready. */
  Process start() const {
    auto process = std::make_unique<ChildProcess>(options_.command);
    const auto reply =
        process->exchange("", deadline_in(options_.start_seconds));
    const std::string needed =
        cat("; a line {\"ready\": true, \"name\": ...} is needed first; ",
            kMendReward);
    switch (reply.outcome) {
      case ChildProcess::Outcome::answered:
        break;
      case ChildProcess::Outcome::late:
        throw Error(cat("[", who_, "] was not ready within ",
                        options_.start_seconds, " s", needed, words(*process)));
      case ChildProcess::Outcome::ended:
        throw Error(cat("[", who_, "] ", process->ending(),
                        " before it was ready", needed, words(*process)));
    }
    const json hello = json::parse(reply.line, nullptr, false);
    RSM_CHECK(hello.is_object() && hello.value("ready", json()) == true, "[",
              who_, "] began with \"", quoted(reply.line), "\"", needed,
              words(*process));
    return process;
  }

  [[noreturn]] void fail(ChildProcess& process,
                         const ChildProcess::Reply& reply,
                         const PictureRange& range) const {
    const bool late = reply.outcome == ChildProcess::Outcome::late;
    // It waits for the end, so that words() has all that was said before.
    const std::string why =
        late ? cat("did not answer within timeout_seconds = ",
                   options_.timeout_seconds)
             : process.ending();
    throw Error(
        cat("[", who_, "] ", why, " while it judged ", range.text(), ", after ",
            restarts_, restarts_ == 1 ? " restart" : " restarts",
            "; one line {\"id\": ", last_id_, ", \"scores\": [...]} is needed",
            late ? " in time" : "", "; ", kMendReward, words(process)));
  }

  static std::string words(ChildProcess& process) {
    const std::string words = process.last_words();
    return words.empty() ? "" : cat("\nThe end of its stderr:\n", words);
  }

  const ExecOptions options_;
  const std::string who_;  ///< begins errors
  mutable std::mutex mutex_;
  mutable Process process_;
  mutable int64_t last_id_ = 0;
  mutable int64_t restarts_ = 0;  ///< in this call of score()
};

}  // namespace

std::unique_ptr<Reward> make_exec_reward(const ExecOptions& options) {
  if (options.command.find_first_not_of(' ') == std::string::npos) {
    throw UsageError(
        "[reward exec:] no command arrived; write exec:COMMAND, "
        "such as exec:python3 judge.py");
  }
  return std::make_unique<ExecReward>(options);
}

}  // namespace rsm
