#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rsm/io/safetensors.h"
#include "rsm/layers/adaptable.h"

namespace rsm {

/** Endings of the layers that diffusers' trainers adapt: of SD3 and SD3.5, and
 * of Stable Diffusion 1.x. */
inline const std::vector<std::string> kSd3LoraTargets = {
    "attn.to_q",       "attn.to_k",       "attn.to_v",       "attn.to_out.0",
    "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out"};
inline const std::vector<std::string> kUnetLoraTargets = {"to_q", "to_k",
                                                          "to_v", "to_out.0"};

/** PEFT's word for every linear layer; as a target it stands alone. */
inline constexpr const char* kAllLinear = "all-linear";

/** Low-rank adaptation, W + (alpha / rank) B A (Hu et al. 2021,
 * arXiv:2106.09685), in PEFT's terms. `targets` (target_modules) are endings
 * of names of layers, linear ones or convolutions, or kAllLinear alone;
 * `exclude` (exclude_modules) are endings of those among them that are left as
 * they are. */
struct LoraConfig {
  int64_t rank = 32;
  double alpha = 64;
  std::vector<std::string> targets = kSd3LoraTargets;
  std::vector<std::string> exclude = {};

  bool all_linear() const;
  double scale() const { return alpha / static_cast<double>(rank); }
  /** Throws rsm::Error where rank < 1, alpha isn't finite, there are no
   * targets, an ending is empty, or kAllLinear doesn't stand alone. */
  void check() const;
};

/** PEFT's rule for a list of targets: the name is one of them, or ends with
 * "." and one of them. */
bool lora_target_matches(const std::string& module_name,
                         const std::vector<std::string>& targets);

/** The low-rank tensors of one layer, as matrices. A convolution's kernel is
 * part of its `in`, as it is where its weight is flattened to [out,in]. */
struct LoraPair {
  std::string module;
  torch::Tensor down;  ///< "<module>.lora_A.weight" [rank,in]
  torch::Tensor up;    ///< "<module>.lora_B.weight" [out,rank]
};

/** The shapes of `down` and `up` (LowRank, layers/adaptable.h) for a layer's
 * weight. */
std::vector<int64_t> lora_down_shape(const torch::Tensor& weight, int64_t rank);
std::vector<int64_t> lora_up_shape(const torch::Tensor& weight, int64_t rank);

/** Ranks that may differ from layer to layer. */
inline constexpr int64_t kRankByLayer = 0;

/** Sorted by module name. Throws rsm::Error naming `who` and the tensor where
 * a name is no such name, its other half is missing, or a shape is not of
 * `rank` (or, where that is kRankByLayer, of its other half's). */
std::vector<LoraPair> lora_pairs(const StateDict& lora, int64_t rank,
                                 const std::string& who);

/** The weights of `base` with those of `lora` added in: W + scale B A in
 * float32, whatever the type of W; convolutions count as matrices. Other
 * tensors are those of `base`. Throws rsm::Error where a layer is missing or of
 * another shape. */
StateDict merged(const StateDict& base, const StateDict& lora,
                 const LoraConfig& config);

/** Loads merged(base, lora) into a model of base's, one tensor at a time: in
 * memory are `base` and the model. Throws as merged() and load_parameters(). */
void load_merged(torch::nn::Module& model, const StateDict& base,
                 const StateDict& lora, const LoraConfig& config);

/** Attaches low-rank tensors to a model's layers, and detaches them when it
 * goes. The model must outlive it and stay on its device; its own
 * parameters stop requiring gradients. */
class LoraAdapter {
 public:
  /** Starts like PEFT's init_lora_weights="gaussian": A normal with standard
   * deviation 1 / rank, B zero. Numbers are counted by (seed, place of the
   * layer among the attached ones, sorted by name). Throws rsm::Error for a
   * target or exclusion that matches no layer, or a target that is not
   * Adaptable (layers/adaptable.h) or has an adapter already. */
  LoraAdapter(torch::nn::Module& model, const LoraConfig& config,
              uint64_t seed);
  ~LoraAdapter();
  LoraAdapter(const LoraAdapter&) = delete;
  LoraAdapter& operator=(const LoraAdapter&) = delete;

  const LoraConfig& config() const { return config_; }

  /** "<module>.lora_A.weight", "<module>.lora_B.weight", sorted. */
  const std::vector<std::string>& names() const { return names_; }
  /** In the order of names(): float32 leaves that require gradients, on the
   * layer's device. */
  std::vector<torch::Tensor> parameters() const;
  /** By name, detached, not copied. */
  StateDict state() const;
  /** Copies the values in, converting their type. Throws rsm::Error where one
   * is missing, unknown or of another shape; nothing has changed then. */
  void load_state(const StateDict& state);

  /** Without it the model computes as if nothing were attached. */
  void set_enabled(bool enabled);
  bool enabled() const { return enabled_; }

  /** merged() of the model's own weights and these. */
  StateDict merged() const;

 private:
  torch::nn::Module& model_;
  LoraConfig config_;
  std::vector<std::pair<std::string, std::shared_ptr<Adaptable>>> layers_;
  std::vector<std::string> names_;
  bool enabled_ = true;
};

}  // namespace rsm
