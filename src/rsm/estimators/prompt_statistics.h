#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "rsm/estimators/moments.h"

namespace rsm {

/** The last rewards of each prompt, over epochs: what DDPO compares new ones
 * with. Source: arXiv 2305.13301 and its release. Several rewards are kept
 * apart by a name. Holds at most `size` numbers a name and prompt. */
class PromptStatistics {
 public:
  /** Throws rsm::Error for a size below 1. */
  explicit PromptStatistics(int64_t size);

  int64_t size() const { return size_; }

  /** Adds rewards [B] of prompts [B] (Prompt::id), in their order; the oldest
   * beyond `size` go. Throws rsm::Error, having added nothing, where the counts
   * differ or a reward is not finite. */
  void update(const std::string& name, const std::vector<int64_t>& prompts,
              const std::vector<double>& rewards);

  /** Of the rewards held; count 0 for a prompt that never came. */
  Moments moments(const std::string& name, int64_t prompt) const;

  /** {"size": n, "rewards": {name: [[prompt, [oldest, ...]], ...]}}; text
   * written from it gives the same doubles back. */
  nlohmann::json to_json() const;
  /** Throws rsm::Error for what is not of that form. */
  static PromptStatistics from_json(const nlohmann::json& saved);

 private:
  using Buffers = std::map<int64_t, std::vector<double>>;

  int64_t size_;
  std::map<std::string, Buffers> buffers_;
};

}  // namespace rsm
