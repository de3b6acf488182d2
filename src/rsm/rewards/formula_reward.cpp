#include "rsm/rewards/formula_reward.h"

#include <utility>
#include <vector>

#include "rsm/base/error.h"

namespace rsm {
namespace {

class FormulaReward : public Reward {
 public:
  FormulaReward(std::string name, PictureFormula formula)
      : name_(std::move(name)), formula_(std::move(formula)) {}

  std::string name() const override { return name_; }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    check_pictures(cat("reward ", name_), images, prompts);
    const torch::NoGradGuard no_grad;
    std::vector<torch::Tensor> values;
    std::map<std::string, std::vector<torch::Tensor>> metrics;
    for (const auto& image : images.unbind(0)) {
      const PictureNumbers numbers = formula_(image.to(at::kDouble));
      values.push_back(numbers.value);
      for (const auto& [metric, number] : numbers.metrics) {
        metrics[metric].push_back(number);
      }
    }
    RewardScores scores{joined(values, images), {}};
    for (const auto& [metric, of_each] : metrics) {
      scores.metrics[metric] = joined(of_each, images);
    }
    return scores;
  }

  bool is_differentiable() const override { return true; }

  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts& prompts) const override {
    check_picture_shapes(cat("reward ", name_), images, prompts);
    std::vector<torch::Tensor> values;
    // Not select(): the gradient of each would be as large as all images.
    for (const auto& image : images.unbind(0)) {
      values.push_back(formula_(image.to(at::kDouble)).value);
    }
    return joined(values, images);
  }

 private:
  /** [B] float32; of no pictures [0], which carries their gradient too. */
  static torch::Tensor joined(const std::vector<torch::Tensor>& of_each,
                              const torch::Tensor& images) {
    return of_each.empty() ? images.sum({1, 2, 3}).to(at::kFloat)
                           : at::stack(of_each).to(at::kFloat);
  }

  std::string name_;
  PictureFormula formula_;
};

}  // namespace

std::unique_ptr<Reward> make_formula_reward(std::string name,
                                            PictureFormula formula) {
  return std::make_unique<FormulaReward>(std::move(name), std::move(formula));
}

}  // namespace rsm
