#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rsm/models/guided_network.h"
#include "rsm/models/lora.h"

namespace rsm {

struct PolicyOptions {
  /** Train a LoRA; without it all weights of the network. */
  std::optional<LoraConfig> lora;
  uint64_t seed = 0;  ///< of the LoRA's initial values
  /** A LoRA to begin with instead, of this config; see load_lora_start()
   * (models/lora_start.h). */
  std::string lora_from = {};
  /** Whether the reference has that LoRA, or is the model without any. */
  bool reference_has_lora = false;
  double guidance_scale = 1;  ///< of the rollout copy
  /** Of the others; as the rollout copy's where there is none. */
  std::optional<double> training_guidance_scale = {};
  /** Of the evaluation copy; as the rollout copy's where there is none. */
  std::optional<double> evaluation_guidance_scale = {};
  /** Of a second reference, where there is one. */
  std::optional<double> reference_guidance_scale = {};
  bool has_old = false;             ///< whether there is a slower copy
  bool stop_unconditional = false;  ///< see GuidedNetwork; of the training copy
  torch::ScalarType rollout_type = torch::kFloat32;
  /** Of the training copy and the reference; LoRAs are float32. */
  torch::ScalarType training_type = torch::kFloat32;
  bool activation_checkpointing = false;  ///< of the training copy
  torch::Device device = torch::kCPU;
  TileOptions rollout_tiles;
  /** Of everything the loss compares: ratios are exact in one tile only. */
  TileOptions train_tiles;

  double training_scale() const {
    return training_guidance_scale.value_or(guidance_scale);
  }
  /** Whether rollouts and training are one computation: all weights trained,
   * sampling in their own precision, tiles and guidance. */
  bool rollout_is_training() const {
    return !lora && rollout_type == torch::kFloat32 &&
           rollout_tiles.tile == train_tiles.tile &&
           guidance_scale == training_scale();
  }
};

/** All weights of `network`, those that were trained replaced. */
StateDict with_trained(const Network& network, const StateDict& trained);

/** Whose outputs. All but `rollout` and `evaluation` compute as training does:
 * in its precision and tile, LoRA unmerged. */
enum class Copy {
  training,    ///< what the loss sees
  rollout,     ///< what samples: LoRA merged, any precision
  evaluation,  ///< the same under the guidance of evaluations
  reference,   ///< the weights before training
  /** What pulls, where that is another: the same under text guidance of its
   * own, and as it was reset last. */
  guided_reference,
  average,  ///< the moving average of the trained weights
  old,      ///< a slower copy that samples and holds, where there is one
};

/** The model being trained. All copies share one network, into which their
 * trained weights are put for the time of a call: so one is asked at a time.
 * The rollout copy is a network of its own, unless it is the same computation.
 */
class Policy {
 public:
  /** The network becomes the training copy. `unconditional` is one condition,
   * what text guidance leads away from. */
  Policy(const Network& network, const Condition& unconditional,
         const PolicyOptions& options);
  ~Policy();
  Policy(const Policy&) = delete;

  /** What is trained, by name. */
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  /** Their values, copied. */
  StateDict trainable() const;
  /** Sets them; the rollout copy follows at the next sample_with(). */
  void load_trainable(const StateDict& values);

  /** The moving average; at first what the weights were when it was made. */
  const StateDict& average() const { return values_.at(Copy::average); }
  void load_average(const StateDict& values);
  /** average = decay average + (1 - decay) weights. */
  void update_average(double decay);
  /** The same of the slower copy. */
  const StateDict& old() const { return values_.at(Copy::old); }
  void load_old(const StateDict& values);
  void update_old(double decay);

  /** The guided reference has the present weights from now on. */
  void reset_reference();
  /** Those it was reset to; none: it never was. */
  StateDict reset_weights() const;
  void load_reset(const StateDict& values);

  /** Outputs, without gradient. */
  Denoiser& copy(Copy which);
  GuidedNetwork& trained_network() { return *training_; }

  /** From now on every tile of every copy begins with a stop_point() of
   * `progress`, which has to outlive that; nullptr: no more. */
  void watch(const Progress* progress);

  /** From now on ranks share out the work of every copy's predict() and of the
   * trained network's gradients(), see GuidedNetwork; nullptr: no more. */
  void share(Communicator* ranks);

  /** Brings the rollout copy, and with it the evaluation's, to the present
   * weights of another copy. */
  void sample_with(Copy which);
  /** True where rollout and training are one computation, so that the
   * rollout's outputs are the loss's y_old, bit for bit. */
  bool rollout_is_training() const { return options_.rollout_is_training(); }

  const PolicyOptions& options() const { return options_; }

 private:
  class View;

  void update(Copy which, double decay);

  PolicyOptions options_;
  std::shared_ptr<GuidedNetwork> training_, rollout_;
  std::shared_ptr<GuidedNetwork> evaluation_, guided_reference_;  ///< or null
  std::unique_ptr<LoraAdapter> adapter_;  // before the network it hangs on
  std::vector<std::string> names_;
  std::vector<torch::Tensor> parameters_;
  std::map<Copy, StateDict> values_;  ///< of copies that have their own
  std::map<Copy, std::unique_ptr<Denoiser>> views_;
  Copy sampled_with_ = Copy::training;
};

}  // namespace rsm
