#include "rsm/rewards/colourfulness_reward.h"

#include "rsm/rewards/formula_reward.h"

namespace rsm {
namespace {

constexpr double kCastWeight = 0.3;  // Hasler and Suesstrunk's, fitted to votes

/** The root of a sum of squares. At 0, where it is least and has a kink, its
 * gradient is 0, not infinite. */
torch::Tensor root(const torch::Tensor& squares) {
  const torch::Tensor positive = squares > 0;
  return at::where(positive, at::where(positive, squares, 1.0).sqrt(), 0.0);
}

/** Its gradient sums to 0 over equal numbers, however their mean is rounded. */
torch::Tensor variance(const torch::Tensor& numbers) {
  return (numbers - numbers.mean()).square().mean();
}

PictureNumbers colourfulness(const torch::Tensor& pixels) {
  const auto channels = pixels.unbind(0);
  const auto rg = channels[0] - channels[1];
  const auto yb = (channels[0] + channels[1]) / 2 - channels[2];
  const auto spread = root(variance(rg) + variance(yb));
  const auto cast = root(rg.mean().square() + yb.mean().square());
  return {spread + kCastWeight * cast, {{"spread", spread}, {"cast", cast}}};
}

}  // namespace

std::unique_ptr<Reward> make_colourfulness() {
  return make_formula_reward("colourfulness", colourfulness);
}

}  // namespace rsm
