#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/io/safetensors.h"
#include "rsm/models/lora.h"

namespace rsm {

struct ExportOptions {
  std::string run;     ///< a run folder
  std::string output;  ///< empty: <run>/export
  /** Where the base model lies now; empty: as the run's config says or, where
   * it is not there, where it was when the run began. */
  std::string model;
  bool average = true;  ///< the averaged weights, else the last update's
  /** Those that the run's best/ keeps (runs/watch.h), not the newest. */
  bool best = false;
  /** Let B carry alpha / rank, for readers that take alpha = rank. */
  bool fold_alpha = false;
  torch::ScalarType type = torch::kFloat32;  ///< of the merged network
};

/** A file that was written, and how its outputs, read back, differ from
 * those of the network as it was trained: largest difference over largest
 * value on a few pictures of noise at four times. */
struct ExportedFile {
  std::string path;
  double difference = 0;
  double allowed = 0;
};

/** Writes what a run has learnt up to its newest checkpoint: a LoRA as a PEFT
 * adapter and as diffusers' pytorch_lora_weights.safetensors, and in either
 * case `merged`, a model folder with all weights. Each is read back and
 * compared; the model's other parts are copied as they are. In memory are at
 * most two copies of the network. Needs nothing but the run's folder and the
 * base model, whose files must be those the run began with. Tells `progress` of
 * damaged checkpoints passed over. Throws rsm::Error where the run has no
 * checkpoint, the model is missing or another, somebody else exports to that
 * folder, or a file gives another network than the one trained. */
std::vector<ExportedFile> export_run(const ExportOptions& options,
                                     Progress& progress);

/** Both LoRA files of a part ("transformer" or "unet"), in one folder. */
void save_lora(const std::string& folder, const LoraConfig& config,
               const StateDict& lora, const std::string& part);

}  // namespace rsm
