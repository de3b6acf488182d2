#include "rsm/verify/problem.h"

#include <cmath>
#include <utility>

#include "rsm/analysis/toy_parts.h"
#include "rsm/base/error.h"

namespace rsm::verify {
namespace {

class PointJudge : public Reward {
 public:
  explicit PointJudge(PointReward reward) : reward_(std::move(reward)) {}

  std::string name() const override { return reward_.name(); }

  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override {
    check_pictures(cat("reward ", name()), images, prompts);
    const torch::NoGradGuard no_grad;
    return {reward_.at(points_of(images)), {}};
  }

  bool is_differentiable() const override {
    return reward_.is_differentiable();
  }

  torch::Tensor value_of(const torch::Tensor& images,
                         const Prompts& prompts) const override {
    return is_differentiable() ? reward_.at(points_of(images)).to(at::kFloat)
                               : Reward::value_of(images, prompts);
  }

 private:
  /** [B,D] of [B,3,1,D] */
  static torch::Tensor points_of(const torch::Tensor& images) {
    return FieldDecoder::points(images.select(1, 0)).flatten(1);
  }

  PointReward reward_;
};

class PointDecoder : public FieldDecoder {
 public:
  torch::Tensor decode(const torch::Tensor& latents) const override {
    return pictures(latents).to(at::kCPU, at::kFloat).contiguous();
  }
  torch::Tensor pictures(const torch::Tensor& latents) const override {
    return FieldDecoder::pictures(latents)
        .view({latents.size(0), 1, 1, latents.size(1)})
        .expand({-1, 3, -1, -1});
  }
};

Density three_modes() {
  const double low = -std::sqrt(3) / 2, high = std::sqrt(3);
  return {{1, 1, 1}, {{1.5, low}, {-1.5, low}, {0, high}}, {0.25, 0.25, 0.25}};
}

}  // namespace

std::vector<Problem> problems(double alpha) {
  using Kind = PointReward::Kind;
  return {
      {"gauss-linear", Density({1}, {{0}}, {1}), {Kind::linear, {1}}, alpha},
      {"modes-linear", three_modes(), {Kind::linear, {-0.5, 0}}, alpha},
      {"modes-quadratic",
       three_modes(),
       {Kind::quadratic, {-0.5, 0.5}, 0.5},
       alpha},
      {"modes-step", three_modes(), {Kind::step, {}, -1}, alpha},
  };
}

std::unique_ptr<Reward> point_judge(const Problem& problem) {
  return std::make_unique<PointJudge>(problem.reward);
}

std::shared_ptr<const Decoder> point_decoder() {
  static const auto decoder = std::make_shared<const PointDecoder>();
  return decoder;
}

}  // namespace rsm::verify
