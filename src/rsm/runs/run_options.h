#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/method.h"
#include "rsm/io/config.h"
#include "rsm/judges/picture_metrics.h"
#include "rsm/models/image_model.h"
#include "rsm/models/policy.h"
#include "rsm/paths/path.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rollouts/plan.h"
#include "rsm/runs/watch.h"

namespace rsm {

/** A fine-tuning run, as its config says. Batch settings are totals: tiles
 * change speed, memory and last bits, threads not even these. */
struct RunOptions {
  std::string name;
  std::string folder;  ///< the run folder
  std::string label;   ///< what comparisons call it, seeds apart
  std::string model;   ///< a diffusers folder
  uint64_t seed = 42;
  Method method;
  std::vector<RewardSpec> rewards;
  /** A LoRA that makes a consistency model of it, where the method takes
   * gradients through one; else empty. */
  std::string predictor;

  std::string train_prompts = "shapes:train";
  int64_t prompts_per_epoch = 16;
  int64_t samples_per_prompt = 1;  ///< roots, or paths of a rollout
  int64_t t5_tokens = 256;         ///< see TextOptions
  bool t5 = true;
  std::string cache;     ///< folder of conditions; empty: none
  double cache_gb = 20;  ///< what lies there at most

  std::vector<int64_t> size;  ///< pixels [H,W]; empty: the network's own
  int64_t steps = 10;
  StepNoise noise;
  double guidance_scale = 2;
  std::string negative_prompt;     ///< what guidance leads away from
  int64_t continuation_steps = 0;  ///< see RolloutPlan
  Solver solver = Solver::euler;   ///< see RolloutPlan
  StochasticAdams adams;
  Sharing sharing = Sharing::all;

  bool lora = true;
  LoraConfig lora_config;
  std::string lora_from;  ///< a LoRA to begin with; empty: a fresh one
  bool reference_has_lora = false;  ///< that one; else the model without
  int64_t epochs = 100;
  double max_minutes = 0;  ///< of training, evaluation apart; 0: no limit
  int64_t max_images = 0;  ///< sampled for training; 0: no limit
  int64_t updates_per_epoch = 2;
  int64_t dead_epochs = 1;  ///< without reward spread passed over, in a row
  double lr = 3e-4;
  bool lr_decay = false;  ///< linearly to 0 over `epochs`, else constant
  double adam_beta1 = 0.9;
  double adam_beta2 = 0.999;
  double adam_eps = 1e-8;
  double weight_decay = 1e-4;
  double max_grad_norm = 1.0;
  double training_guidance_scale = 2;  ///< of the loss
  bool stop_unconditional = false;     ///< no gradient through guidance's half
  double ema_decay = 0.9;  ///< of the average, which is evaluated and exported
  int64_t ema_every = 1;   ///< updates from one averaging to the next
  bool ema_warmup =
      false;  ///< decay at most (1 + n) / (10 + n) after n updates

  std::string eval_prompts = "shapes:held_out";
  int64_t eval_images = 612;
  int64_t eval_every = 10;  ///< epochs; also before the first, after the last
  double eval_minutes = 0;  ///< also each time so much was trained; 0: not
  int64_t eval_steps = 10;
  double eval_guidance_scale = 2;
  Solving eval_solving;
  int64_t eval_drift_steps = 0;  ///< noisiest steps drift is over; 0: N - 1
  WatchOptions watch;
  PictureMetricPaths beside;  ///< what evaluations measure beside the reward

  int64_t checkpoint_every = 5;  ///< epochs
  bool tensorboard = false;      ///< see TensorBoard (runs/tensorboard.h)

  torch::Device device = torch::kCPU;
  torch::ScalarType rollout_type = torch::kBFloat16;
  torch::ScalarType training_type = torch::kFloat32;  ///< or bfloat16: of LoRAs
  bool activation_checkpointing = false;
  torch::ScalarType text_type = torch::kFloat32;
  torch::ScalarType vae_type = torch::kFloat32;
  TileOptions rollout_tiles, train_tiles;
  double rank_timeout = 1800;  ///< seconds that ranks wait for each other
  std::string memory;         ///< "24GB": a target the two above are chosen for
  std::string memory_choice;  ///< what was chosen, for people; empty: nothing

  /** The resolved config: every value above, as YAML that gives this again. */
  std::string resolved;

  /** What a user should hear before the run begins, and find in its report:
   * true of the run as a whole, and no reason to stop. */
  std::vector<std::string> warnings;

  PolicyOptions policy() const;
  ModelOptions model_options() const;
  RolloutPlan plan() const;
};

/** The `name` of what a config describes: part of a path, so one that is no
 * folder's name is noted. */
std::string read_name(const Config& config);

/** Notes a text that something is found or kept by and that is empty or has
 * line ends. */
void check_text(const Config& section, const std::string& key,
                const std::string& text);

/** `device` of a section, cpu by default; a word that is none is noted. */
torch::Device read_device(const Config& section);

/** Reads a run's config and checks it as a whole. Throws one UsageError with
 * file, line and key of every mistake. `cores` are the threads of a CPU by
 * default; 0: all cores of the machine. Asks nothing of the device: that is
 * require_device's (models/loading.h). */
RunOptions read_run_options(const Config& config, int64_t cores = 0);

}  // namespace rsm
