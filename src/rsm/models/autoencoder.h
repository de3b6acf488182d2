#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>

namespace rsm {

/** Latents of an autoencoder. Diffusion models see (z - shift_factor) *
 * scaling_factor of what it encodes. */
struct LatentSpace {
  int64_t channels = 4;
  int64_t scale = 8;  ///< pixels of a latent's side
  double scaling_factor = 1;
  double shift_factor = 0;
};

/** What all autoencoders have in common: AutoencoderKL, AutoencoderTiny.
 * Parameter names are diffusers'. */
class AutoencoderModule : public torch::nn::Module {
 public:
  /** What has weights. An autoencoder without encoder only decodes. */
  enum class Ways { both, decoder };

  /** Pictures [B,3,H,W] in [-1,1], sides multiples of scale -> latents
   * [B,C,H/scale,W/scale], as they stand before scaling_factor: their means
   * where they are distributions. Throws rsm::Error for other shapes, and
   * where there is no encoder. */
  virtual torch::Tensor encode(const torch::Tensor& pictures) = 0;
  /** Latents [B,C,h,w] before scaling_factor -> pictures [B,3,H,W], about in
   * [-1,1]. Throws rsm::Error for other shapes. */
  virtual torch::Tensor decode(const torch::Tensor& latents) = 0;
  /** The same in overlapping tiles of a fixed size, which are blended as
   * diffusers' enable_tiling() does: memory of one tile's activations. */
  virtual torch::Tensor decode_tiled(const torch::Tensor& latents) = 0;

  virtual LatentSpace space() const = 0;
  /** Whether float16 overflows in it (force_upcast): decode in float32 there,
   * as diffusers' pipelines do. */
  virtual bool overflows_in_float16() const = 0;
  /** Another one of this config; its weights are arbitrary. */
  virtual std::shared_ptr<AutoencoderModule> fresh(Ways ways) const = 0;
  /** The config.json of diffusers. */
  virtual nlohmann::json config_json() const = 0;

  /** Throws rsm::Error for what decode() refuses. */
  void check_latents(const torch::Tensor& latents) const;

 protected:
  void check_pictures(const torch::Tensor& pictures, bool has_encoder) const;
};

using Autoencoder = std::shared_ptr<AutoencoderModule>;

}  // namespace rsm
