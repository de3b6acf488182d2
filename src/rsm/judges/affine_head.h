#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rsm {

/** Affine layers without activations between them, as LAION's predictors of
 * aesthetic ratings are: dropout, which is off, is all that stands between the
 * layers of the published 768-1024-128-64-16-1 ones.
 * Source: github.com/christophschuhmann/improved-aesthetic-predictor. */
class AffineHead {
 public:
  /** Tensors "layers.N.weight" and "layers.N.bias", taken by rising N, or
   * "weight" and "bias" of one layer; each takes what the one before gives, the
   * first `width` numbers, and the last gives one. Throws rsm::Error naming
   * `path` and the tensor for anything else, a pickle by its name
   * (judges/judge_files.h). */
  static AffineHead load(const std::string& who, const std::string& path,
                         int64_t width, torch::Device device);

  /** features [B,width] float32 -> [B] float32. */
  torch::Tensor operator()(const torch::Tensor& features) const;

 private:
  struct Layer {
    torch::Tensor weight;  ///< [out,in]
    torch::Tensor bias;    ///< [out]
  };
  std::vector<Layer> layers_;
};

}  // namespace rsm
