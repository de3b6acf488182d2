#pragma once

#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "rsm/io/safetensors.h"

namespace rsm {

/** What diffusers calls the files of a network's weights. */
inline constexpr const char* kDiffusersWeights = "diffusion_pytorch_model";

/** All parameters and buffers of a module by name, detached, not copied. */
StateDict state_dict(const torch::nn::Module& module);

/** Copies the values of `from` into the tensors of `to`, converting their type.
 * Throws rsm::Error naming `who` and the tensor where one is missing, unknown,
 * or of another shape; nothing has changed then. */
void copy_tensors(const StateDict& to, const StateDict& from,
                  const std::string& who);

/** Throws rsm::Error naming `who` and the tensor where one of `needed` is
 * missing from `found` or has another shape: before a module of a config is
 * built, whose numbers may ask for any amount of memory. */
void check_shapes(const TensorShapes& needed, const TensorShapes& found,
                  const std::string& who);

/** copy_tensors into the module's parameters and buffers. */
void load_parameters(torch::nn::Module& module, const StateDict& weights,
                     const std::string& who);

/** Makes the weights the module's own, of the type they are: views of a file
 * stay views, and take no memory of their own. For modules whose weights are
 * never written to. Throws as copy_tensors. */
void adopt_parameters(torch::nn::Module& module, const StateDict& weights,
                      const std::string& who);

/** The same tensors in another type (integers and booleans stay). */
StateDict converted(const StateDict& weights, torch::ScalarType type);

/** Floating-point types as configs and commands call them: float32, bfloat16,
 * float16. */
std::vector<std::string> type_names();

/** The type of one of these names. Throws rsm::UsageError for another. */
torch::ScalarType type_named(const std::string& name);

/** The device called cpu, cuda or cuda:N, there or not. Throws rsm::UsageError
 * for another name. */
torch::Device device_named(const std::string& name);

/** Throws rsm::UsageError where this machine or LibTorch has no such device.
 * Ask before anything is loaded. */
void require_device(torch::Device device);

}  // namespace rsm
