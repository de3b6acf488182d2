#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/conditioner.h"
#include "rsm/base/progress.h"
#include "rsm/base/reward.h"
#include "rsm/io/folder_lock.h"
#include "rsm/models/image_model.h"
#include "rsm/runs/evaluation.h"
#include "rsm/runs/run_inputs.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** What a run works with: all that its config names, loaded. */
struct RunParts {
  std::unique_ptr<FolderLock> lock;  ///< of the run folder; rank 0 has it
  RunInputs inputs;
  ImageModel model;
  std::unique_ptr<const Conditioner> conditions;
  std::unique_ptr<const Reward> reward;
  std::unique_ptr<const PictureMetrics> beside;  ///< null: nothing is
  Prompts train_prompts;
  EvaluationSet evaluation_set;
  /** What a user should hear of them. */
  std::vector<std::string> warnings;
};

/** Takes the run folder (a rank that does not write leaves it) and loads
 * everything; texts are encoded as far as their conditions can be kept. Throws
 * rsm::Error where something is missing, a reward is not there to judge, or
 * another process has the folder. */
RunParts open_parts(const RunOptions& options, Progress& progress,
                    bool locks = true);

}  // namespace rsm
