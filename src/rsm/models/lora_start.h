#pragma once

#include <string>
#include <vector>

#include "rsm/models/lora_files.h"
#include "rsm/models/network.h"

namespace rsm {

/** The layers of a network that a config adapts, sorted. `weights` are the
 * network's: those of linear layers are its matrices, those of convolutions
 * have four dimensions. */
std::vector<std::string> adapted_layers(const LoraConfig& config,
                                        const StateDict& weights);

/** A LoRA that a fine-tune goes on from: load_lora() (models/lora_formats.h),
 * whose `targets` and `exclude` choose just the layers of the file, and whose
 * tensors have the shapes of a LoraAdapter's. Throws rsm::Error as that does
 * and, naming the file and the layer, where one is none of the network or of
 * another shape. */
LoraFile load_lora_start(const std::string& path, const std::string& part,
                         const StateDict& weights);

/** A copy of a network whose weights have the change of a LoRA of it in them;
 * it is not trained. Throws as load_lora_start(). */
Network with_lora(const Network& network, const std::string& path,
                  torch::ScalarType type, torch::Device device);

}  // namespace rsm
