#pragma once

#include <cstdint>

#include "rsm/base/communicator.h"
#include "rsm/base/progress.h"
#include "rsm/base/reward.h"
#include "rsm/models/image_model.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/run_options.h"
#include "rsm/train/epoch.h"
#include "rsm/train/shared_rollout.h"

namespace rsm {

/** Parts that a rollout is drawn in, at most one a prompt: what the sampler
 * holds of a part beside the rollout (x, y, noise, where they lead, and what an
 * expression makes in between) is about a quarter of a gigabyte. More where a
 * remote reward judges meanwhile. */
int64_t rollout_parts(const Rollout& rollout, int64_t prompts, bool is_remote);

/** Draws the pictures of an epoch and has them judged. */
class Collector {
 public:
  /** All must outlive it; of the model, its path and decoder are used. */
  Collector(const RunOptions& options, const Conditioner& conditioner,
            const ImageModel& model, const RolloutPlan& plan,
            const Reward& reward, const Prompts& prompts,
            const std::vector<int64_t>& latent_shape, Progress& progress,
            Communicator& ranks)
      : options_(options),
        conditioner_(conditioner),
        model_(model),
        plan_(plan),
        reward_(reward),
        prompts_(prompts),
        latent_shape_(latent_shape),
        progress_(progress),
        ranks_(ranks) {}

  /** prompts -> rollout -> rewards. Soft returns ask the reference. A remote
   * reward judges some prompts' pictures while the next ones are drawn; the
   * numbers are the same.
   * One that sees groups is given each whole (estimators/picture_groups.h).
   * Where judging fails, the rollout is kept in the run folder, where drawing
   * is stopped, its finished parts are (not of soft returns); the next call
   * goes on from there. Throws what the reward throws, and Interrupted.
   *
   * Ranks draw and judge their shares of the prompts, by networks that they do
   * not share meanwhile, and all have the whole. A stop while they draw keeps
   * nothing of the epoch. */
  Collected collect(int64_t epoch, Denoiser& denoiser, Denoiser& reference);

  /** An epoch's prompts and roots. */
  RolloutRequest request(int64_t epoch) const;

 private:
  class Judges;

  /** The pictures of the first `kept` prompts are there. */
  void draw_and_judge(Collected& out, const RolloutRequest& request,
                      int64_t kept, Denoiser& denoiser, Denoiser& reference);
  /** Draws prompts [first, last), the parts of it as they are ready to be
   * judged. */
  void draw_prompts(Rollout& rollout, const RolloutRequest& request, Share own,
                    int64_t kept, Denoiser& denoiser, Denoiser& reference,
                    Judges& judges);
  /** The scores of all ranks. Where there are none, the rollout is kept for the
   * next time, unless it `is_kept`. */
  RewardScores all_scores(const Rollout& rollout, int64_t epoch, bool is_kept,
                          Judges& judges);
  void judge_kept(Collected& out, int64_t epoch);

  const RunOptions& options_;
  const Conditioner& conditioner_;
  const ImageModel& model_;
  const RolloutPlan& plan_;
  const Reward& reward_;
  const Prompts& prompts_;
  const std::vector<int64_t>& latent_shape_;
  Progress& progress_;
  Communicator& ranks_;
};

}  // namespace rsm
