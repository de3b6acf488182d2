#include "rsm/estimators/prompt_statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr const char* kPrompts = ".prompts";
constexpr const char* kRewards = ".rewards";

/** Rewards up to the first NaN. */
std::vector<double> buffer_of(const torch::Tensor& row) {
  const double* first = row.const_data_ptr<double>();
  const double* last = first + row.numel();
  return {first,
          std::find_if(first, last, [](double r) { return std::isnan(r); })};
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

StateDict PromptStatistics::state() const {
  StateDict out;
  for (const auto& [name, buffers] : buffers_) {
    std::vector<int64_t> prompts;
    std::vector<double> rewards;
    for (const auto& [prompt, buffer] : buffers) {
      prompts.push_back(prompt);
      rewards.insert(rewards.end(), buffer.begin(), buffer.end());
      rewards.resize(prompts.size() * size_, NAN);
    }
    out[name + kPrompts] = torch::tensor(prompts, at::kLong);
    out[name + kRewards] =
        torch::tensor(rewards, at::kDouble).view({std::ssize(prompts), size_});
  }
  return out;
}

void PromptStatistics::load_state(const StateDict& saved) {
  std::map<std::string, Buffers> loaded;
  for (const auto& [key, prompts] : saved) {
    if (!key.ends_with(kPrompts)) continue;
    const auto name = key.substr(0, key.size() - std::strlen(kPrompts));
    const auto found = saved.find(name + kRewards);
    RSM_CHECK(
        found != saved.end() && prompts.dim() == 1 &&
            prompts.scalar_type() == at::kLong &&
            found->second.scalar_type() == at::kDouble &&
            found->second.sizes() == at::IntArrayRef({prompts.size(0), size_}),
        "[prompt_statistics] saved rewards \"", name,
        "\" are not prompts [P] and rewards [P,", size_,
        "]; resume from an older checkpoint or start a new run");
    const auto rewards = found->second.contiguous();
    for (int64_t p = 0; p < prompts.size(0); ++p) {
      loaded[name][prompts[p].item<int64_t>()] = buffer_of(rewards[p]);
    }
  }
  RSM_CHECK(2 * loaded.size() == saved.size(), "[prompt_statistics] ",
            saved.size(), " saved tensors for ", loaded.size(),
            " rewards; two each are expected: resume from an older checkpoint "
            "or start a new run");
  buffers_ = std::move(loaded);
}

}  // namespace rsm
