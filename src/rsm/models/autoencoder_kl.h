#pragma once

#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>

#include "rsm/base/state_dict.h"
#include "rsm/layers/conv.h"
#include "rsm/models/autoencoder.h"
#include "rsm/models/autoencoder_kl_config.h"

namespace rsm {

class KlEncoderImpl;
class KlDecoderImpl;

/** diffusers' AutoencoderKL. Source: Rombach et al. 2021 (arXiv:2112.10752,
 * section 3.1); diffusers, models/autoencoders. */
class AutoencoderKlImpl : public AutoencoderModule {
 public:
  /** The weights are arbitrary until they are set. */
  explicit AutoencoderKlImpl(const AutoencoderKlConfig& config,
                             Ways ways = Ways::both);

  const AutoencoderKlConfig& config() const { return config_; }

  /** Pictures as encode() takes them -> means and logarithms of variances of
   * their latents, [B,2 latent_channels,h,w]. */
  torch::Tensor moments(const torch::Tensor& pictures);

  torch::Tensor encode(const torch::Tensor& pictures) override;
  torch::Tensor decode(const torch::Tensor& latents) override;
  /** Tiles have sides of the config's sample_size, which must be whole quarters
   * of tiles of latents. */
  torch::Tensor decode_tiled(const torch::Tensor& latents) override;
  LatentSpace space() const override { return config_.space(); }
  bool overflows_in_float16() const override { return config_.force_upcast; }
  std::shared_ptr<AutoencoderModule> fresh(Ways ways) const override;
  nlohmann::json config_json() const override;

 private:
  AutoencoderKlConfig config_;
  std::shared_ptr<KlEncoderImpl> encoder_;
  std::shared_ptr<KlDecoderImpl> decoder_;
  Conv quant_conv_{nullptr}, post_quant_conv_{nullptr};
};
TORCH_MODULE(AutoencoderKl);

/** Tensors of an AutoencoderKL under this module's names: files of 2022 call
 * the attention's layers query, key, value and proj_attn, and may hold their
 * weights [C,C] as [C,C,1,1]. */
StateDict autoencoder_kl_names(const StateDict& weights);

}  // namespace rsm
