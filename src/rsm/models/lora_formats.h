#pragma once

#include <string>
#include <vector>

#include "rsm/models/lora_files.h"

namespace rsm {

/** Reads a LoRA for a network's part ("transformer" or "unet") from
 *
 *     a folder with a PEFT adapter, with diffusers' pytorch_lora_weights, or
 *     with one safetensors file under any name; or such a file itself,
 *
 * whose names are PEFT's (of an adapter of any name), diffusers' of any year or
 * kohya's, with or without the part in front. A PEFT adapter's weights may be
 * named in place of its folder. Alphas and ranks by layer are evened()
 * (models/lora_files.h). `weights` are the network's, which kohya's
 * names are matched with.
 *
 * Throws rsm::Error naming the file and what is in it: no such file, layers of
 * the text encoder, other adapters than LoRA (LoHa, LoKr, DoRA, ...), names of
 * no layer, saying how to convert it where diffusers can. */
LoraFile load_lora(const std::string& path, const std::string& part,
                   const StateDict& weights);

/** The files that load_lora() reads of `path`. Throws as it does. */
std::vector<std::string> lora_files(const std::string& path);

/** The same of tensors under names of others; `who` is the file. */
LoraFile lora_of_others(const StateDict& tensors, const std::string& part,
                        const StateDict& weights, const std::string& who);

}  // namespace rsm
