#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/denoiser.h"

namespace rsm {

struct UnetConfig;

/** The longest period of sines and cosines of times and places, over 2 pi. */
inline constexpr double kMaxPeriod = 10000;

/** What all image networks have in common: SD3's transformer, Stable
 * Diffusion's UNet. Parameter names are diffusers'. */
class NetworkModule : public torch::nn::Module {
 public:
  /** x [B,C,H,W], t [B] in [0,1] float32 (1 = noise) and a condition -> what
   * the network predicts there, [B,C,H,W] in the weights' type. H and W may be
   * others than those of latent_shape(): any for the UNet, whole patches up to
   * pos_embed_max_size of them for SD3. Throws rsm::Error for other shapes. */
  virtual torch::Tensor predict(const torch::Tensor& x, const torch::Tensor& t,
                                const Condition& condition) = 0;

  /** Another network of this config; its weights are arbitrary. */
  virtual std::shared_ptr<NetworkModule> fresh() const = 0;

  /** [C,H,W] of the latents it was trained on. */
  virtual std::vector<int64_t> latent_shape() const = 0;
  /** That of others. Throws rsm::Error for sides that it does not take. */
  virtual std::vector<int64_t> latent_shape(int64_t height,
                                            int64_t width) const = 0;

  /** Widths of a condition's tokens, and of what is pooled: 0 where the
   * network takes tokens alone. */
  virtual std::pair<int64_t, int64_t> condition_widths() const = 0;

  /** The config.json of diffusers. */
  virtual nlohmann::json config_json() const = 0;

  /** Small networks for what is learnt beside this one, of the same latents and
   * prompts; their weights are arbitrary. UNets, unless latents are no
   * pictures. One says [B,C,H,W], of levels of these channels; the other a
   * number of each row, by the way down of a config (models/scalar_unet.h). */
  virtual std::shared_ptr<NetworkModule> small_network(
      const std::vector<int64_t>& channels) const;
  virtual std::shared_ptr<NetworkModule> scalar_network(
      const UnetConfig& config) const;

  /** The part of a diffusers folder it lies in: "transformer" or "unet". */
  virtual std::string part() const = 0;

  /** Where gradients are taken, compute each block again in backward instead of
   * keeping its activations (layers/activation_checkpointing.h). Off at first;
   * changes no bit of outputs and of the weights' gradients. */
  void set_activation_checkpointing(bool on) { checkpointing_ = on; }

 protected:
  bool activation_checkpointing() const { return checkpointing_; }

 private:
  bool checkpointing_ = false;
};

using Network = std::shared_ptr<NetworkModule>;

/** A new network with the weights of `network`'s, of another type and on
 * another device. LoRA adapters are not copied. */
Network copy_of(const Network& network, torch::ScalarType type,
                torch::Device device);

}  // namespace rsm
