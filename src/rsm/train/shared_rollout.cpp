#include "rsm/train/shared_rollout.h"

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/rewards/score_bytes.h"

namespace rsm {

void gather_rollout(Communicator& ranks, int64_t kept, Rollout& rollout,
                    std::pair<int64_t, int64_t> own) {
  // Of each of them equally many belong to a prompt, and stand together.
  const int64_t prompts = std::ssize(rollout.prompts);
  for (auto* all : {&rollout.x, &rollout.y, &rollout.x_next, &rollout.latents,
                    &rollout.cost, &rollout.reference.y}) {
    if (all->defined()) ranks.gather_parts(*all, prompts, kept);
  }
  const auto sum = [&](int64_t here) {
    return static_cast<int64_t>(ranks.sum(static_cast<double>(here)));
  };
  rollout.evaluations += sum(own.first) - own.first;
  rollout.reference_evaluations += sum(own.second) - own.second;
}

JudgedByRanks gather_scores(Communicator& ranks, const ScoresFrom& own,
                            bool stopped, const std::string& failure) {
  auto scores = nlohmann::json::array();
  for (const auto& [image, some] : own) {
    scores.push_back({image, packed(some)});
  }
  JudgedByRanks out;
  int64_t rank = 0;
  for (const auto& bytes : ranks.gather(to_bytes(
           {{"scores", scores}, {"stopped", stopped}, {"failure", failure}}))) {
    const auto from = from_bytes(bytes);
    out.stopped = out.stopped || from.at("stopped").get<bool>();
    const auto failed = from.at("failure").get<std::string>();
    if (out.failure.empty() && !failed.empty()) {
      out.failure = cat("rank ", rank, ": ", failed);
    }
    for (const auto& one : from.at("scores")) {
      out.scores.emplace_back(one.at(0).get<int64_t>(),
                              unpacked_scores(one.at(1)));
    }
    ++rank;
  }
  std::sort(out.scores.begin(), out.scores.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return out;
}

}  // namespace rsm
