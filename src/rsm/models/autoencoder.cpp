#include "rsm/models/autoencoder.h"

#include "rsm/base/error.h"

namespace rsm {

void AutoencoderModule::check_pictures(const torch::Tensor& pictures,
                                       bool has_encoder) const {
  RSM_CHECK(has_encoder,
            "[autoencoder] pictures arrived, and only the decoder is there; "
            "load both ways");
  const int64_t scale = space().scale;
  RSM_CHECK(pictures.dim() == 4 && pictures.size(1) == 3 &&
                pictures.size(2) % scale == 0 && pictures.size(3) % scale == 0,
            "[autoencoder] pictures ", pictures.sizes(),
            " arrived; [B,3,H,W] with sides that are multiples of ", scale,
            " is needed");
}

void AutoencoderModule::check_latents(const torch::Tensor& latents) const {
  const int64_t channels = space().channels;
  RSM_CHECK(
      latents.dim() == 4 && latents.numel() > 0 && latents.size(1) == channels,
      "[autoencoder] latents ", latents.sizes(), " arrived; [B,", channels,
      ",h,w] is needed");
}

}  // namespace rsm
