#pragma once

#include <string>

#include "rsm/base/reward.h"
#include "rsm/train/evaluation.h"
#include "rsm/train/run_options.h"

namespace rsm {

/** Throws rsm::Error naming the keys where the folder holds a run of another
 * config. */
void check_same_run(const RunOptions& options);

/** Whether the folder holds this very run, at its end. Throws as
 * check_same_run. */
bool is_finished(const RunOptions& options);

/** run.json: what the run is, in words and numbers, for reports. */
void write_description(const RunOptions& options,
                       const Transitions& transitions,
                       const Prompts& train_prompts, const EvaluationSet& set,
                       const Reward& reward, bool finished);

/** final/: the averaged weights, as a PEFT adapter and as diffusers'
 * pytorch_lora_weights.safetensors, or as a whole model folder where all
 * weights were trained. */
void write_final(const RunOptions& options, const ImageModel& model,
                 const StateDict& average);

}  // namespace rsm
