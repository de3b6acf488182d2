#pragma once

#include <cstdint>

#include "rsm/base/progress.h"
#include "rsm/base/reward.h"
#include "rsm/models/image_model.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/run_options.h"
#include "rsm/train/epoch_data.h"

namespace rsm {

/** Draws the pictures of an epoch and has them judged. */
class Collector {
 public:
  /** All must outlive it; `conditions` are those of `prompts`. */
  Collector(const RunOptions& options, const ImageModel& model,
            const RolloutPlan& plan, const Reward& reward,
            const Prompts& prompts, const Condition& conditions,
            Progress& progress)
      : options_(options),
        model_(model),
        plan_(plan),
        reward_(reward),
        prompts_(prompts),
        conditions_(conditions),
        progress_(progress) {}

  /** prompts -> rollout -> rewards. A reward that waits for others judges some
   * prompts' pictures while the next ones are drawn; the numbers are the same.
   * Where judging fails, the rollout is kept in the run folder, and the next
   * call takes it from there. Throws what the reward throws. */
  EpochData collect(int64_t epoch, Denoiser& denoiser);

 private:
  RolloutRequest request(int64_t epoch) const;
  void draw_and_judge(EpochData& data, const RolloutRequest& request,
                      Denoiser& denoiser);
  void judge_kept(EpochData& data, Rollout kept);
  RewardScores judge(const Rollout& rollout) const;

  const RunOptions& options_;
  const ImageModel& model_;
  const RolloutPlan& plan_;
  const Reward& reward_;
  const Prompts& prompts_;
  const Condition& conditions_;
  Progress& progress_;
};

}  // namespace rsm
