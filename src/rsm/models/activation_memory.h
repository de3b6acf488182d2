#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "rsm/models/autoencoder_kl_config.h"
#include "rsm/models/clip_vision.h"
#include "rsm/models/sd3_config.h"
#include "rsm/models/unet_config.h"

namespace rsm {

/** How a network is asked, and what of it is trained. */
struct NetworkCall {
  int64_t rows = 1;  ///< of the network: text guidance asks two for one
  int64_t height = 0, width = 0;  ///< of the latents
  int64_t text_tokens = 0;
  int64_t bytes = 4;  ///< of a number of the weights' type
  /** Of the LoRAs; 0: all weights are trained. */
  int64_t rank = 0;
  /** Whether a linear layer of this name is trained. */
  std::function<bool(const std::string&)> trains;
};

/** Bytes that one call holds at its fullest beside the weights, their gradients
 * and its own inputs; proportional to the rows. */
struct CallMemory {
  double forward = 0;  ///< without gradient
  double kept = 0;     ///< for backward
  /** The same where blocks are checkpointed: inputs of blocks, and one of them
   * that is computed again. */
  double kept_checkpointed = 0;
  double passing = 0;  ///< what backward makes and drops on its way

  double training(bool checkpointed) const {
    return (checkpointed ? kept_checkpointed : kept) + passing;
  }
};

/** Counted from the config: the tensors that autograd saves of each layer, as
 * this program computes it. `ActivationMemory.*` compares with what LibTorch's
 * allocator gives out on a CPU. */
CallMemory call_memory(const Sd3Config& config, const NetworkCall& call);
CallMemory call_memory(const UnetConfig& config, const NetworkCall& call);

/** Bytes that decoding one latent of these sides takes at its fullest. */
double decoding_memory(const AutoencoderKlConfig& config, int64_t height,
                       int64_t width, int64_t bytes);
/** The same of decoding it and carrying a gradient back to it. */
double decoding_gradient_memory(const AutoencoderKlConfig& config,
                                int64_t height, int64_t width, int64_t bytes);
/** Bytes that CLIP's vision tower takes for the features of so many pictures
 * and their gradients in the pictures. */
double vision_gradient_memory(const ClipVisionConfig& config, int64_t pictures,
                              int64_t bytes);

}  // namespace rsm
