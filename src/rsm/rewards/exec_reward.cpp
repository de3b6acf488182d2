#include "rsm/rewards/exec_reward.h"

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/image.h"
#include "rsm/io/json_text.h"
#include "rsm/rewards/answers.h"
#include "rsm/rewards/asked_reward.h"
#include "rsm/rewards/child_process.h"
#include "rsm/rewards/requests.h"

namespace rsm {
namespace {

using nlohmann::json;
using Process = std::unique_ptr<ChildProcess>;

/** What to do where no line comes: the usual reason is a buffer of the
 * program's own. */
constexpr const char* kFlush =
    "end each line and flush the standard output after it, in Python by "
    "print(..., flush=True)";

/** One line of JSON; what is no UTF-8 is replaced. */
std::string line_of(const json& value) { return json_line(value) + "\n"; }

class ExecReward : public AskedReward {
 public:
  ExecReward(ExecOptions options, const Progress& progress)
      : AskedReward(cat("reward exec:", options.command), options.batch,
                    options.groups),
        options_(std::move(options)),
        progress_(progress) {}

  std::string name() const override { return cat("exec:", options_.command); }

  void check() const override {
    const std::lock_guard lock(mutex_);
    if (process_ == nullptr) {
      process_ = start();
    }
  }

 private:
  RewardScores judge_all(const torch::Tensor& images, const Prompts& prompts,
                         const std::vector<PictureRange>& ranges,
                         const std::vector<int64_t>& group) const override {
    const std::lock_guard lock(mutex_);
    restarts_ = 0;
    std::vector<RewardScores> scores;
    for (const auto& range : ranges) {
      scores.push_back(judge(images, prompts, range, group));
    }
    RewardScores all = join_scores(who(), scores);
    add_mended(all, std::exchange(mended_, {}));
    return all;
  }

  RewardScores judge(const torch::Tensor& images, const Prompts& prompts,
                     const PictureRange& range,
                     const std::vector<int64_t>& group) const {
    const auto pixels =
        picture_bytes(images.narrow(0, range.first, range.count));
    json header = told_of(who(), prompts, range, group);
    header.update({{"count", range.count},
                   {"height", pixels.size(1)},
                   {"width", pixels.size(2)},
                   {"channels", 3}});
    for (bool again = false;; again = true) {
      // Given back only after a right answer, so that any error ends it.
      Process process = process_ ? std::move(process_) : start();
      header["id"] = ++last_id_;
      std::string request = line_of(header);
      request.append(
          reinterpret_cast<const char*>(pixels.const_data_ptr<uint8_t>()),
          static_cast<size_t>(pixels.numel()));
      const auto reply = process->exchange(
          request, Patience(options_.timeout_seconds, progress_));
      if (reply.outcome == ChildProcess::Outcome::answered) {
        try {
          auto scores = read_reply(reply, range, prompts);
          process_ = std::move(process);
          return scores;
        } catch (const Error& wrong) {
          throw Error(cat(wrong.what(), words(*process)));
        }
      }
      const std::string failure = describe(*process, reply);
      if (again || restarts_ == options_.retries) {
        fail(*process, reply, failure, range);
      }
      ++restarts_;
      ++mended_[cat(name(), " ", failure, " and was started again")];
    }
  }

  RewardScores read_reply(const ChildProcess::Reply& reply,
                          const PictureRange& range,
                          const Prompts& prompts) const {
    const json answer = parse_answer(who(), reply.line);
    const json id = answer.is_object() ? answer.value("id", json()) : json();
    const bool failed = !error_in(answer).is_null();
    RSM_CHECK(failed || id == last_id_, "[", who(), "] answered with the id ",
              id.dump(), "; the request's is ", last_id_,
              ": print one line for each request, and nothing else, on its "
              "standard output; ",
              kMendReward);
    auto scores = read_scores(who(), answer, range, prompts);
    RSM_CHECK(reply.took_all, "[", who(), "] answered for ", range.text(),
              " before it had read them; read count x height x width x "
              "channels bytes after each line; ",
              kMendReward);
    return scores;
  }

  /** Runs the program and waits until it is ready. */
  Process start() const {
    progress_.stop_point();
    auto process = std::make_unique<ChildProcess>(options_.command);
    const auto reply =
        process->exchange("", Patience(options_.start_seconds, progress_));
    const std::string needed =
        cat("; a line {\"ready\": true, \"name\": ...} is needed first; ",
            kMendReward);
    switch (reply.outcome) {
      case ChildProcess::Outcome::answered:
        break;
      case ChildProcess::Outcome::late:
        throw Error(cat("[", who(), "] was not ready within ",
                        options_.start_seconds, " s", unended(reply), "; ",
                        kFlush, needed, words(*process)));
      case ChildProcess::Outcome::ended:
        throw Error(cat("[", who(), "] ", process->ending(),
                        " before it was ready", needed, words(*process)));
    }
    RSM_CHECK(says_ready(reply.line), "[", who(), "] began with \"",
              quoted(reply.line), "\"", needed, words(*process));
    return process;
  }

  [[noreturn]] void fail(ChildProcess& process,
                         const ChildProcess::Reply& reply,
                         const std::string& failure,
                         const PictureRange& range) const {
    const bool late = reply.outcome == ChildProcess::Outcome::late;
    throw Error(cat(
        "[", who(), "] ", failure, " while it judged ", range.text(),
        ", after ", restarts_, restarts_ == 1 ? " restart" : " restarts",
        unended(reply), "; one line {\"id\": ", last_id_,
        ", \"scores\": [...]} is needed", late ? cat(" in time: ", kFlush) : "",
        "; ", kMendReward, words(process)));
  }

  /** Why no line came. It waits for the end of a program that ends, so that
   * words() has all that was said before. */
  std::string describe(ChildProcess& process,
                       const ChildProcess::Reply& reply) const {
    return reply.outcome == ChildProcess::Outcome::late
               ? cat("did not answer within timeout_seconds = ",
                     options_.timeout_seconds)
               : process.ending();
  }

  static bool says_ready(const std::string& line) {
    try {
      const json hello = parse_json("", line);
      return hello.is_object() && hello.value("ready", json()) == true;
    } catch (const Error&) {
      return false;
    }
  }

  /** What was printed of a line that has not ended. */
  static std::string unended(const ChildProcess::Reply& reply) {
    return reply.line.empty() ? ""
                              : cat(", having printed \"", quoted(reply.line),
                                    "\" without a line end");
  }

  static std::string words(ChildProcess& process) {
    const std::string words = process.last_words();
    return words.empty() ? "" : cat("\nThe end of its stderr:\n", words);
  }

  const ExecOptions options_;
  const Progress& progress_;
  mutable std::mutex mutex_;
  mutable Process process_;
  mutable int64_t last_id_ = 0;
  mutable int64_t restarts_ = 0;                   ///< in this call of score()
  mutable std::map<std::string, int64_t> mended_;  ///< as RewardScores has it
};

}  // namespace

std::unique_ptr<Reward> make_exec_reward(const ExecOptions& options,
                                         const Progress& progress) {
  if (options.command.find_first_not_of(' ') == std::string::npos) {
    throw UsageError(
        "[reward exec:] no command arrived; write exec:COMMAND, "
        "such as exec:python3 judge.py");
  }
  return std::make_unique<ExecReward>(options, progress);
}

}  // namespace rsm
