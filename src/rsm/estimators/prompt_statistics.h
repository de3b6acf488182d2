#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/state_dict.h"
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

  /** For each name "NAME.prompts" int64 [P] and "NAME.rewards" float64
   * [P,size], the oldest first and NaN where a buffer is not full. */
  StateDict state() const;
  /** The reverse. Throws rsm::Error for what is not of that form. */
  void load_state(const StateDict& saved);

 private:
  using Buffers = std::map<int64_t, std::vector<double>>;

  int64_t size_;
  std::map<std::string, Buffers> buffers_;
};

}  // namespace rsm
