#pragma once

#include <torch/types.h>

#include <string>

namespace rsm {

/** BRISQUE: what people would say of a picture's distortions, 0 (none) to 100,
 * by its statistics; the lower the better. It sees no prompt. Source: Mittal,
 * Moorthy and Bovik, 2012; computed as OpenCV's quality module does, whose
 * model a user names by its files. */
class Brisque {
 public:
  /** Reads `model`, OpenCV's brisque_model_live.yml (a support vector
   * regression with a radial kernel), and brisque_range_live.yml beside it.
   * Throws rsm::Error naming the file that is not there or not such a one. */
  explicit Brisque(const std::string& model);

  /** Of a picture [3,H,W] in [0,1], H, W >= 2; NaN of one without contrast.
   * Throws rsm::Error for another shape. */
  double of(const torch::Tensor& picture) const;

 private:
  torch::Tensor vectors_, weights_;  ///< [V,36], [V] float64
  double gamma_ = 0, rho_ = 0;
  torch::Tensor lowest_, highest_;  ///< [36] of the features
};

/** Where the ranges of a model's features lie, beside it. */
std::string brisque_range_of(const std::string& model);

/** [36], not finite without contrast: of both scales the shape and mean square
 * of the coefficients, and of their products with the neighbours to the right,
 * below and at both corners to the right the shape, mean, left and right mean
 * square. */
torch::Tensor brisque_features(const torch::Tensor& picture);

}  // namespace rsm
