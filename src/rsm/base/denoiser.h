#pragma once

#include <torch/types.h>

namespace rsm {

/** Text conditions of a batch, as the networks take them: tokens [B,L,E] and
 * pooled [B,P]. */
struct Condition {
  torch::Tensor tokens;
  torch::Tensor pooled;

  int64_t size() const { return tokens.size(0); }
  Condition select(const torch::Tensor& index) const {
    return {tokens.index_select(0, index), pooled.index_select(0, index)};
  }
  Condition to(torch::Device device) const {
    return {tokens.to(device), pooled.to(device)};
  }
};

/** A network with its parametrisation: x [B,C,H,W], t [B] in [0,1] (1 = noise)
 * and a condition -> y [B,C,H,W] float32 (velocity for flows). Row b of the
 * result depends on row b of the arguments alone. */
class Denoiser {
 public:
  virtual ~Denoiser() = default;
  virtual torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                                const Condition& condition) = 0;
};

}  // namespace rsm
