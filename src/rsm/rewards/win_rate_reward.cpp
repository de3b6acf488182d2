#include "rsm/rewards/win_rate_reward.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rewards/answers.h"

namespace rsm {
namespace {

class WinRate : public Reward {
 public:
  explicit WinRate(std::unique_ptr<Reward> of) : of_(std::move(of)) {}

  std::string name() const override { return "win-rate:" + of_->name(); }

  std::string main_metric() const override {
    const auto main = of_->main_metric();
    return main == "reward" ? of_->name() : main;
  }

  std::vector<std::string> watched_metrics() const override {
    return of_->watched_metrics();
  }

  void check() const override { of_->check(); }
  void check_inputs(const Prompts& prompts, int64_t height,
                    int64_t width) const override {
    of_->check_inputs(prompts, height, width);
  }
  bool is_remote() const override { return of_->is_remote(); }
  bool sees_groups() const override { return true; }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    auto scores = of_->score(images, prompts);
    scores.metrics.emplace(of_->name(), scores.value);
    scores.parts = {};
    return scores;
  }

  RewardScores score_groups(const torch::Tensor& images, const Prompts& prompts,
                            const std::vector<int64_t>& group) const override {
    const auto who = "reward " + name();
    check_groups(who, images.size(0), group);
    auto scores = score(images, prompts);
    const auto bad = (~scores.value.isfinite()).nonzero();
    if (bad.numel() > 0) {
      const auto first = bad[0].item<int64_t>();
      throw Error(cat(
          "[", who, "] the score of image ", first, " (\"",
          prompts.at(first).text, "\") is ", scores.value[first].item<float>(),
          ", which beats nothing and loses to nothing; ", kMendReward));
    }
    scores.value = win_rates(scores.value, group);
    return scores;
  }

 private:
  std::unique_ptr<Reward> of_;
};

}  // namespace

torch::Tensor win_rates(const torch::Tensor& value,
                        const std::vector<int64_t>& group) {
  RSM_CHECK(value.dim() == 1 && value.size(0) == std::ssize(group),
            "[win_rates] values ", value.sizes(), " of ", group.size(),
            " pictures in groups; one for each is needed");
  const auto known = value.to(at::kCPU, at::kDouble).contiguous();
  const double* of = known.const_data_ptr<double>();
  std::map<int64_t, std::vector<double>> rivals;
  for (size_t i = 0; i < group.size(); ++i) rivals[group[i]].push_back(of[i]);
  for (auto& [label, values] : rivals) std::sort(values.begin(), values.end());
  const auto rates = at::full({value.size(0)}, 0.5, at::kFloat);
  float* out = rates.mutable_data_ptr<float>();
  for (size_t i = 0; i < group.size(); ++i) {
    const auto& all = rivals.at(group[i]);
    if (all.size() < 2) continue;
    const auto [first, last] = std::equal_range(all.begin(), all.end(), of[i]);
    const auto beaten = static_cast<double>(first - all.begin());
    const auto equal = static_cast<double>(last - first - 1);  // but itself
    out[i] = static_cast<float>((beaten + equal / 2) /
                                static_cast<double>(all.size() - 1));
  }
  return rates;
}

std::unique_ptr<Reward> make_win_rate_reward(std::unique_ptr<Reward> of) {
  if (of->sees_groups()) {
    throw UsageError(cat("[reward win-rate] got \"", of->name(),
                         "\", which sees groups itself; allowed: a reward that "
                         "judges a picture alone (take that one without "
                         "win-rate:, or without groups: true)"));
  }
  return std::make_unique<WinRate>(std::move(of));
}

}  // namespace rsm
