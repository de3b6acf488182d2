#pragma once

#include <string>
#include <vector>

#include "rsm/base/reward.h"
#include "rsm/runs/evaluation.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Throws rsm::Error naming the keys where the folder holds a run of another
 * config. */
void check_same_run(const RunOptions& options);

/** The same for the config `before`, which errors call `origin`; keys in
 * `proven` may differ (see changed_keys). */
void refuse_changed(const RunOptions& options, const std::string& before,
                    const std::string& origin,
                    const std::vector<std::string>& proven);

/** Whether a folder's run.json says that its run is finished; false where it is
 * missing or damaged: a run that goes on writes it anew. */
bool says_finished(const std::string& run_folder);

/** Whether the folder holds this very run, at its end, with what it learnt.
 * Throws as check_same_run. */
bool is_finished(const RunOptions& options);

/** run.json: what the run is, in words and numbers, for reports. */
void write_description(const RunOptions& options,
                       const Transitions& transitions,
                       const Prompts& train_prompts, const EvaluationSet& set,
                       const Reward& reward, bool finished);

/** final/: the averaged weights, as a PEFT adapter and as diffusers'
 * pytorch_lora_weights.safetensors, or as a whole model folder where all
 * weights were trained. `network`: any copy of the model's. */
void write_final(const RunOptions& options, const Network& network,
                 const StateDict& average);

}  // namespace rsm
