#pragma once

#include <torch/types.h>

#include <string>

namespace rsm {

/** Sets a parameter, by the usual rule of its name and shape: matrices and
 * kernels normal with variance 2 / (in + out) (Glorot and Bengio 2010), biases
 * 0, scales 1. Numbers are counted by `seed`. Call without gradient. */
void set_initial_value(const std::string& name, const torch::Tensor& parameter,
                       uint64_t seed);

}  // namespace rsm
