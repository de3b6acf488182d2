#pragma once

#include <map>
#include <string>

#include "rsm/io/safetensors.h"
#include "rsm/models/lora.h"

namespace rsm {

/** The name of diffusers' file, and the key of its metadata that has PEFT's
 * config. */
inline constexpr const char* kDiffusersLora =
    "pytorch_lora_weights.safetensors";
inline constexpr const char* kDiffusersMetadata = "lora_adapter_metadata";

/** The names of PEFT's files. */
inline constexpr const char* kPeftConfig = "adapter_config.json";
inline constexpr const char* kPeftWeights = "adapter_model.safetensors";

/** A LoRA as read from a file: `tensors` named as LoraAdapter names them. */
struct LoraFile {
  LoraConfig config;
  StateDict tensors;
};

/** The same change of the weights with alpha = rank: B carries the scale. */
LoraFile folded(const LoraFile& file);

/** Writes a PEFT adapter: adapter_config.json and adapter_model.safetensors
 * with names "base_model.model.<module>.lora_A.weight". As PEFT does, it names
 * the layers that kAllLinear stands for. Makes the folder. */
void save_peft_adapter(const std::string& folder, const LoraConfig& config,
                       const StateDict& lora);

/** What errors about adapters that are not read end with. */
inline constexpr const char* kFuseFirst =
    "; to use it, load it in diffusers (load_lora_weights), fuse_lora() and "
    "save_pretrained() the model";

/** A half of a convolution, [r,in,k,k] or [out,r,1,1], as the matrix that
 * LoraPair has; matrices as they are. Throws rsm::Error for another tensor. */
torch::Tensor lora_matrix(const torch::Tensor& half, const std::string& name,
                          const std::string& who);

/** Layers of any ranks and scales with one rank and alpha: the same change of
 * the weights, in float32. `scales` is what multiplies each layer's B A; where
 * ranks or scales differ, A and B are filled up with zeros, B carries the scale
 * and alpha is the rank. `targets` are the layers' names. */
LoraFile evened(const StateDict& lora,
                const std::map<std::string, double>& scales,
                const std::string& who);

/** Reads a PEFT adapter. Where ranks or alphas differ by layer (rank_pattern,
 * alpha_pattern, use_rslora) it is evened(). Where its target_modules are a
 * pattern, or fields other than a list of exclude_modules narrow them,
 * `targets` are the names of the layers in the file. Throws rsm::Error naming
 * the file and the key for another kind of adapter than a LoRA (DoRA, biases,
 * ...). */
LoraFile load_peft_adapter(const std::string& folder);

/** Writes diffusers' pytorch_lora_weights.safetensors for a part of a pipeline,
 * "transformer" or "unet": names "<part>.<module>.lora_A.weight". The metadata
 * carries the config: readers that pass over it take alpha = rank. Makes the
 * folder. */
void save_diffusers_lora(const std::string& folder, const LoraConfig& config,
                         const StateDict& lora,
                         const std::string& part = "transformer");

/** Reads such a file of a folder. Without metadata, as in diffusers, alpha is
 * the rank; `targets` are then the names of the layers in the file. Throws
 * rsm::Error as load_peft_adapter, and where tensors belong to another network.
 */
LoraFile load_diffusers_lora(const std::string& folder,
                             const std::string& part = "transformer");

/** The same of a file that is read already; `path` is for errors. */
LoraFile diffusers_lora(const SafetensorsFile& file, const std::string& part,
                        const std::string& path);

}  // namespace rsm
