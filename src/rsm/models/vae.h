#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "rsm/base/decoder.h"
#include "rsm/models/autoencoder.h"

namespace rsm {

/** How much is decoded at once. */
struct VaeLimits {
  /** Latents decoded by one call of the network, however many there are: the
   * last call's missing ones are filled up with zeros, so that a picture does
   * not depend on the others. */
  int64_t slice = 1;
  /** Latents with a longer side than this are decoded in tiles; 0: none. */
  int64_t tile_above = 0;
  /** Slices decoded at a time, each on a core of its own. */
  int64_t workers = 1;
};

/** The decoder of a model whose latents are an autoencoder's. */
class Vae : public Decoder {
 public:
  /** Reads the decoder in a folder such as MODEL/vae, in float32 on the CPU.
   * The folder holds config.json, whose _class_name is AutoencoderKL or
   * AutoencoderTiny, and diffusion_pytorch_model weights (io/sharded.h).
   * Throws rsm::Error naming the file, key or tensor that is missing or wrong;
   * the config's sizes are those of the weights before memory is asked for. */
  static std::shared_ptr<Vae> load(const std::string& folder);

  explicit Vae(Autoencoder autoencoder, const VaeLimits& limits = {})
      : autoencoder_(std::move(autoencoder)), limits_(limits) {}

  /** The same with weights of another type and on another device; shares them
   * where both are what they were. Where float16 overflows (force_upcast),
   * float32 takes its place, as in diffusers; see type(). */
  std::shared_ptr<Vae> to(torch::Device device, torch::ScalarType type) const;
  /** The same with other limits; shares the weights. Throws rsm::Error for a
   * slice below 1 or a side below 0. */
  std::shared_ptr<Vae> with_limits(const VaeLimits& limits) const;

  /** latents / scaling_factor + shift_factor, decoded, from [-1,1] to [0,1].
   * Without gradient. Throws rsm::Error for other shapes. */
  torch::Tensor decode(const torch::Tensor& latents) const override;
  torch::Tensor pictures(const torch::Tensor& latents) const override;

  int64_t scale() const override { return autoencoder_->space().scale; }
  int64_t latent_channels() const { return autoencoder_->space().channels; }
  torch::ScalarType type() const;
  torch::Device device() const;

 private:
  torch::Tensor decoded(
      const torch::Tensor& latents,
      const std::function<torch::Tensor(const torch::Tensor&)>& finish) const;

  Autoencoder autoencoder_;
  VaeLimits limits_;
};

/** The autoencoder in such a folder, both ways or the decoder alone. Throws as
 * Vae::load, for what is wrong with the encoder too. */
Autoencoder load_autoencoder(const std::string& folder,
                             AutoencoderModule::Ways ways);

/** Throws as Vae::load does for what the folder's config and the headers of its
 * weights say; no weight is read. Returns what its latents are. */
LatentSpace check_vae(const std::string& folder);

}  // namespace rsm
