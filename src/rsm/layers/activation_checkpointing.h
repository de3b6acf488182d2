#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <functional>
#include <vector>

namespace rsm {

using Tensors = std::vector<torch::Tensor>;

/** What a part of a network makes of its inputs. */
using Block = std::function<Tensors(const Tensors&)>;

/** block(inputs), of which only the inputs are kept for backward, which then
 * computes the block again: the activations of one block at a time instead of
 * all, for about one more forward pass. Outputs and gradients are those of
 * block(inputs), bit for bit; an input that the block uses more than once and
 * others use too may be given once for each use, so that its gradients are
 * added up in the same order.
 *
 * Gradients go to the inputs, all of them defined, and to what is trained of
 * `modules`: parameters that require a gradient, and LoRAs. `block` may read
 * nothing else that does. Modules must outlive the graph, and their tensors
 * hold the same values in backward (PyTorch's error otherwise). Blocks may
 * hold blocks. Throws rsm::Error where a second derivative is asked for.
 * Source: Chen et al. 2016, arXiv:1604.06174. */
Tensors checkpointed(const Block& block, const Tensors& inputs,
                     const std::vector<const torch::nn::Module*>& modules);

}  // namespace rsm
