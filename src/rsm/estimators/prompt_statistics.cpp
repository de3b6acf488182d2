#include "rsm/estimators/prompt_statistics.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** One [prompt, [reward, ...]] of a saved file. */
bool is_buffer(const nlohmann::json& entry, int64_t size) {
  if (!entry.is_array() || entry.size() != 2 || !entry[0].is_number_integer() ||
      !entry[1].is_array() || static_cast<int64_t>(entry[1].size()) > size) {
    return false;
  }
  for (const auto& reward : entry[1]) {
    if (!reward.is_number()) return false;
  }
  return true;
}

}  // namespace

PromptStatistics::PromptStatistics(int64_t size) : size_(size) {
  RSM_CHECK(size >= 1, "[prompt_statistics] a buffer of ", size,
            " rewards a prompt; it must hold 1 or more: set "
            "estimator.buffer_size");
}

void PromptStatistics::update(const std::string& name,
                              const std::vector<int64_t>& prompts,
                              const std::vector<double>& rewards) {
  RSM_CHECK(prompts.size() == rewards.size(), "[prompt_statistics] ",
            rewards.size(), " rewards for ", prompts.size(),
            " prompts; one reward a prompt id is needed");
  for (size_t i = 0; i < rewards.size(); ++i) {
    RSM_CHECK(std::isfinite(rewards[i]), "[prompt_statistics] reward ", i,
              " of ", rewards.size(), " is ", rewards[i],
              "; only finite rewards are kept: look at the image it judged");
  }
  auto& buffers = buffers_[name];
  for (size_t i = 0; i < rewards.size(); ++i) {
    auto& buffer = buffers[prompts[i]];
    if (static_cast<int64_t>(buffer.size()) == size_) {
      buffer.erase(buffer.begin());
    }
    buffer.push_back(rewards[i]);
  }
}

Moments PromptStatistics::moments(const std::string& name,
                                  int64_t prompt) const {
  const auto buffers = buffers_.find(name);
  if (buffers == buffers_.end()) return {};
  const auto buffer = buffers->second.find(prompt);
  return buffer == buffers->second.end() ? Moments{}
                                         : moments_of(buffer->second);
}

nlohmann::json PromptStatistics::to_json() const {
  auto rewards = nlohmann::json::object();
  for (const auto& [name, buffers] : buffers_) {
    auto& list = rewards[name] = nlohmann::json::array();
    for (const auto& [prompt, buffer] : buffers) {
      list.push_back(nlohmann::json::array({prompt, buffer}));
    }
  }
  return {{"size", size_}, {"rewards", rewards}};
}

PromptStatistics PromptStatistics::from_json(const nlohmann::json& saved) {
  const auto check = [](bool ok, const std::string& what) {
    RSM_CHECK(ok, "[prompt_statistics] saved statistics ", what,
              "; expected what to_json writes: resume from an older checkpoint "
              "or start a new run");
  };
  check(saved.is_object() && saved.contains("size") &&
            saved["size"].is_number_integer() && saved.contains("rewards") &&
            saved["rewards"].is_object(),
        "without a size and an object of rewards");
  PromptStatistics out(saved["size"].get<int64_t>());
  for (const auto& [name, list] : saved["rewards"].items()) {
    check(list.is_array(), cat("whose rewards \"", name, "\" are no list"));
    auto& buffers = out.buffers_[name];
    for (const auto& entry : list) {
      check(is_buffer(entry, out.size_),
            cat("whose rewards \"", name,
                "\" hold an entry that is not [prompt, rewards], at most ",
                out.size_, " of them"));
      buffers[entry[0].get<int64_t>()] = entry[1].get<std::vector<double>>();
    }
  }
  return out;
}

}  // namespace rsm
