#pragma once

#include <torch/types.h>

#include <vector>

namespace rsm {

// Statistics of natural scenes, which judges of quality without a reference are
// made of: NIQE (data/niqe.h) and BRISQUE (data/brisque.h). All in float64.

/** The luminance (Rec. 601) of a picture [3,H,W] in [0,1], colours and result
 * rounded to bytes as files have them: [H,W], 0 to 255. Throws rsm::Error for
 * another shape. */
torch::Tensor grey_bytes(const torch::Tensor& picture);

/** Mean-subtracted contrast-normalised coefficients of [H,W]: (x - mu) / (sigma
 * + constant), mu and sigma of a Gaussian window of 7 x 7, deviation 7/6, edges
 * repeated. */
torch::Tensor contrast_normalised(const torch::Tensor& grey, double constant);

/** Asymmetric generalised Gaussians, [N] each: the shape, and the root mean
 * squares of what is below and above 0. NaN where there is nothing of one. */
struct AsymmetricGaussian {
  torch::Tensor shape;
  torch::Tensor left, right;

  /** sqrt(Gamma(1/shape) / Gamma(3/shape)): what makes scales of left, right.
   */
  torch::Tensor scale_factor() const;
  /** (right - left) scale_factor Gamma(2/shape) / Gamma(1/shape). */
  torch::Tensor mean() const;
};

/** By moments, of each row of values [N,P]; the shape from 0.2 to 10, to 0.001.
 * Source: Lasmar et al. 2009, as in the releases of NIQE and BRISQUE. */
AsymmetricGaussian fit_asymmetric_gaussian(const torch::Tensor& values);

}  // namespace rsm
