#pragma once

#include <torch/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "rsm/base/reward.h"

namespace rsm {

/** What a formula says of a picture, each [], with the picture's gradient. */
struct PictureNumbers {
  torch::Tensor value;
  std::map<std::string, torch::Tensor> metrics;
};

/** pixels [3,H,W] in [0,1], float64, on any device. */
using PictureFormula =
    std::function<PictureNumbers(const torch::Tensor& pixels)>;

/** A differentiable reward that is a formula of each picture alone; prompts are
 * not looked at. Pictures are taken one after the other and in float64: a
 * number does not depend on what else is judged, and on the CPU score() and
 * value_of() give the same one, bit for bit.
 *
 * score() throws rsm::Error as check_pictures (base/reward.h) does, value_of()
 * where pictures are not [B,3,H,W], H, W >= 1, with one prompt each. */
std::unique_ptr<Reward> make_formula_reward(std::string name,
                                            PictureFormula formula);

}  // namespace rsm
