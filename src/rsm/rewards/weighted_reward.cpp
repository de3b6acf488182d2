#include "rsm/rewards/weighted_reward.h"

#include <algorithm>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/rewards/answers.h"

namespace rsm {
namespace {

constexpr double kAbsurd = 1e6;  // a reward's absolute value

void check_finite(const std::string& who, const torch::Tensor& value,
                  const Prompts& prompts) {
  const torch::Tensor bad = at::nonzero(~at::isfinite(value)).flatten();
  if (bad.numel() == 0) {
    return;
  }
  const auto first = bad[0].item<int64_t>();
  throw Error(cat("[reward ", who, "] ", bad.numel(), " of ", value.numel(),
                  " scores are not finite, the first for image ", first, " (\"",
                  prompts[first].text, "\"): ", value[first].item<float>(),
                  "; ", kMendReward));
}

void check_count(const std::string& who, const std::string& what,
                 const torch::Tensor& scores, const Prompts& prompts) {
  const int64_t count = scores.defined() ? scores.numel() : 0;
  const int64_t needed = std::ssize(prompts);
  RSM_CHECK(scores.defined() && count == needed, "[reward ", who, "] ", count,
            " numbers arrived as ", what, " for ", needed, " images",
            count < needed ? cat(", none from image ", count, " (\"",
                                 prompts[count].text, "\") on")
                           : "",
            "; one for each is needed; ", kMendReward);
}

/** What a reward gave, as [B] float32 on the CPU. */
torch::Tensor checked(const std::string& who, const std::string& what,
                      const torch::Tensor& scores, const Prompts& prompts) {
  check_count(who, what, scores, prompts);
  return scores.detach().to(at::kCPU, at::kFloat).flatten();
}

/** Of the parts that have no gradient. */
[[noreturn]] void refuse_gradient(const std::string& who,
                                  const std::vector<std::string>& black_boxes) {
  throw UsageError(
      cat("[reward ", who, "] has no gradient: ", join(black_boxes, " and "),
          black_boxes.size() == 1 ? " is a black box" : " are black boxes",
          "; methods that take rewards' values alone train on it: "
          "`rsm methods` lists them under zeroth order; weight 0 "
          "scores and reports a part and asks for no gradient"));
}

class WeightedSum : public Reward {
 public:
  explicit WeightedSum(std::vector<WeightedReward> rewards)
      : rewards_(std::move(rewards)) {}

  std::string name() const override {
    if (alone()) {
      return rewards_.front().reward->name();
    }
    std::vector<std::string> terms;
    for (const auto& [weight, reward] : rewards_) {
      terms.push_back(weight == 1 ? reward->name()
                                  : cat(weight, " * ", reward->name()));
    }
    return join(terms, " + ");
  }

  std::string main_metric() const override {
    const auto& [weight, first] = leading();
    const std::string main = first->main_metric();
    // What a negative weight trains is the fall of that reward's metrics.
    if (alone() || weight < 0) {
      return weight < 0 ? "reward" : main;
    }
    return main == "reward" ? first->name() : cat(first->name(), "/", main);
  }

  std::vector<std::string> watched_metrics() const override {
    std::vector<std::string> all;
    for (const auto& [weight, reward] : rewards_) {
      for (const auto& metric : reward->watched_metrics()) {
        all.push_back(alone() ? metric : cat(reward->name(), "/", metric));
      }
    }
    return all;
  }

  void check() const override {
    for (const auto& [weight, reward] : rewards_) {
      reward->check();
    }
  }

  void check_inputs(const Prompts& prompts, int64_t height,
                    int64_t width) const override {
    for (const auto& [weight, reward] : rewards_) {
      reward->check_inputs(prompts, height, width);
    }
  }

  bool is_remote() const override {
    return std::any_of(
        rewards_.begin(), rewards_.end(),
        [](const WeightedReward& part) { return part.reward->is_remote(); });
  }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    return added(images, prompts, [&](const Reward& reward) {
      return reward.score(images, prompts);
    });
  }

  bool sees_groups() const override {
    return std::any_of(
        rewards_.begin(), rewards_.end(),
        [](const WeightedReward& part) { return part.reward->sees_groups(); });
  }

  RewardScores score_groups(const torch::Tensor& images, const Prompts& prompts,
                            const std::vector<int64_t>& group) const override {
    return added(images, prompts, [&](const Reward& reward) {
      return reward.score_groups(images, prompts, group);
    });
  }

  bool is_differentiable() const override { return black_boxes().empty(); }

  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts& prompts) const override {
    if (!is_differentiable()) {
      if (alone()) return leading().reward->value_of(images, prompts);
      refuse_gradient(name(), black_boxes());
    }
    torch::Tensor sum =
        at::zeros({images.size(0)}, images.options().dtype(at::kDouble));
    for (const auto& [weight, reward] : rewards_) {
      if (weight == 0) continue;
      const auto value = reward->value_of(images, prompts);
      check_count(reward->name(), "values", value, prompts);
      sum = sum + weight * value.to(at::kDouble).flatten();
    }
    return sum.to(at::kFloat);
  }

 private:
  /** The sum of what `judge` says by each reward. */
  template <typename Judge>
  RewardScores added(const torch::Tensor& images, const Prompts& prompts,
                     const Judge& judge) const {
    RewardScores all;
    torch::Tensor sum = torch::zeros({images.size(0)}, torch::kFloat64);
    for (const auto& [weight, reward] : rewards_) {
      const std::string part = reward->name();
      const RewardScores scores = judge(*reward);
      const auto value = checked(part, "scores", scores.value, prompts);
      check_finite(part, value, prompts);
      sum += weight * value.to(at::kDouble);
      all.parts.push_back({part, weight, value});
      for (const auto& [metric, numbers] : scores.metrics) {
        all.metrics[alone() ? metric : cat(part, "/", metric)] =
            checked(part, cat("\"", metric, "\""), numbers, prompts);
      }
      if (!alone()) {
        all.metrics[part] = value;
      }
      add_mended(all, scores.mended);
    }
    all.value = sum.to(at::kFloat);
    check_finite(name(), all.value, prompts);
    return all;
  }

  /** Names of what trains and has no gradient. */
  std::vector<std::string> black_boxes() const {
    std::vector<std::string> names;
    for (const auto& [weight, reward] : rewards_) {
      if (weight != 0 && !reward->is_differentiable()) {
        names.push_back(reward->name());
      }
    }
    return names;
  }

  bool alone() const { return rewards_.size() == 1; }

  const WeightedReward& leading() const {
    const auto first = std::find_if(
        rewards_.begin(), rewards_.end(),
        [](const WeightedReward& part) { return part.weight != 0; });
    return first == rewards_.end() ? rewards_.front() : *first;
  }

  std::vector<WeightedReward> rewards_;
};

}  // namespace

std::unique_ptr<Reward> make_weighted_reward(
    std::vector<WeightedReward> rewards) {
  RSM_CHECK(!rewards.empty(), "[reward] no reward arrived; give one at least");
  return std::make_unique<WeightedSum>(std::move(rewards));
}

std::vector<std::string> suspicious(const RewardScores& scores) {
  auto parts = scores.parts;
  if (parts.empty()) {
    parts.push_back({"the reward", 1, scores.value});
  }
  std::vector<std::string> found;
  for (const RewardPart& part : parts) {
    const int64_t count = part.value.numel();
    if (part.weight == 0 || count == 0) {
      continue;
    }
    const auto first = part.value.flatten()[0];
    const auto largest = part.value.abs().max().item<float>();
    if (count > 1 && (part.value == first).all().item<bool>()) {
      found.push_back(cat(part.name, " gives all ", count,
                          " pictures the same score, ", first.item<float>(),
                          ": nothing can be learnt from it"));
    }
    if (largest > kAbsurd) {
      found.push_back(cat(part.name, " gives a score of size ", largest,
                          ": above ", kAbsurd, " looks like a mistake"));
    }
  }
  for (const auto& text : mended_in(scores)) {
    found.push_back(text);
  }
  return found;
}

std::vector<std::string> mended_in(const RewardScores& scores) {
  std::vector<std::string> found;
  for (const auto& [what, count] : scores.mended) {
    found.push_back(
        cat(what, count == 1 ? ", once" : cat(", ", count, " times")));
  }
  return found;
}

}  // namespace rsm
