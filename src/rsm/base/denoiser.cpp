#include "rsm/base/denoiser.h"

#include "rsm/base/error.h"

namespace rsm {

torch::Tensor Denoiser::pull_back(const torch::Tensor& /*x*/,
                                  const torch::Tensor& /*t*/,
                                  const ConditionRows& /*conditions*/,
                                  const OutputGradient& /*output_gradient*/) {
  throw Error("[denoiser] its outputs carry no gradient to their states");
}

}  // namespace rsm
