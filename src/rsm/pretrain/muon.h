#pragma once

#include <torch/types.h>

#include <map>
#include <string>
#include <vector>

#include "rsm/io/safetensors.h"

namespace rsm {

/** The orthogonal factor of each matrix of a stack [B,m,n], approximately:
 * five Newton-Schulz steps of the quintic that Muon uses; singular values end
 * within about 0.7..1.2. Source: Jordan et al. 2024, "Muon". */
torch::Tensor orthogonalised(const torch::Tensor& stack);

/** Muon: momentum whose update is orthogonalised, for weights of hidden layers.
 * Filters [out,in,h,w] are taken for matrices [out,in h w]. Matrices of one
 * shape are stepped together. */
class Muon {
 public:
  /** `parameters` by name, all matrices or filters that require a gradient. */
  Muon(std::map<std::string, torch::Tensor> parameters, double momentum);

  /** One step with the present gradients. */
  void step(double learning_rate);

  /** Momentum buffers by parameter name, for checkpoints. */
  const StateDict& state() const { return momentum_buffers_; }
  void load_state(const StateDict& state);

 private:
  std::map<std::string, torch::Tensor> parameters_;
  std::map<std::pair<int64_t, int64_t>, std::vector<std::string>> by_shape_;
  double momentum_;
  StateDict momentum_buffers_;
};

}  // namespace rsm
