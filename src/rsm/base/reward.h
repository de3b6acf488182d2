#pragma once

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/prompt.h"

namespace rsm {

/** One term of a weighted sum of rewards. */
struct RewardPart {
  std::string name;
  double weight = 1;    ///< 0: scored and reported, trains nothing
  torch::Tensor value;  ///< [B] float32, before the weight
};

/** Scores of a batch. `value` [B] float32 is what training raises; `metrics`
 * are further scores of the same images ([B] each), reported beside it.
 * `parts` are the terms that `value` is the weighted sum of: all of them from
 * make_rewards (rewards/rewards.h), none from a reward asked directly.
 * `mended` is what failed on the way and was asked for again, and how often:
 * {"exec:judge.py ended with exit status 1 and was started again", 2}. */
struct RewardScores {
  torch::Tensor value;
  std::map<std::string, torch::Tensor> metrics;
  std::vector<RewardPart> parts = {};
  std::map<std::string, int64_t> mended = {};
  /** [B,F] float32 what the pictures themselves are compared by, where a method
   * does (EstimatorKnobs::Diversity::pixels); else undefined. */
  torch::Tensor features = {};
};

/** A judge of images: a black box unless it says otherwise. */
class Reward {
 public:
  virtual ~Reward() = default;

  virtual std::string name() const = 0;

  /** The metric that results are told in, the higher the better: "reward" is
   * the trained value. */
  virtual std::string main_metric() const { return "reward"; }

  /** Metrics of what the value does not see, which training should not raise:
   * a gain that comes with far more of one is suspicious. */
  virtual std::vector<std::string> watched_metrics() const { return {}; }

  /** Whether it is there to judge, asked before a run: throws rsm::Error where
   * a program does not start or a server does not answer. Without asking, the
   * first score() finds out. */
  virtual void check() const {}

  /** Whether it judges pictures of this size in pixels for these prompts, asked
   * before any is drawn: throws what score() would. What others judge, they
   * alone can say. */
  virtual void check_inputs(const Prompts& /*prompts*/, int64_t /*height*/,
                            int64_t /*width*/) const {}

  /** Whether another program or machine judges: the sampler then goes on
   * meanwhile, and score() is called for parts of an epoch's pictures, from
   * several threads. Such a reward waits by a Patience (rewards/patience.h),
   * and throws Interrupted soon after a stop. */
  virtual bool is_remote() const { return false; }

  /** images [B,3,H,W] float32 in [0,1] on the CPU, one prompt each.
   * The result for an image depends on that image and prompt alone.
   * Throws rsm::Error where sizes differ or a prompt can't be judged. */
  virtual RewardScores score(const torch::Tensor& images,
                             const Prompts& prompts) const = 0;

  /** Whether a picture's score depends on the others of its group:
   * score_groups() is then what trains, and score() what it says of pictures
   * alone. */
  virtual bool sees_groups() const { return false; }
  /** Scores of pictures in groups: `group` [B] labels, those of one label one
   * after the other, of one prompt, and all there is of their group. The result
   * for an image depends on its group alone, and not on the order within; of
   * rewards that see none it is score(). Throws what score() throws. */
  virtual RewardScores score_groups(const torch::Tensor& images,
                                    const Prompts& prompts,
                                    const std::vector<int64_t>& group) const;

  /** Whether value_of() can be asked. */
  virtual bool is_differentiable() const { return false; }
  /** The value of score() as a function of the pictures, which may carry a
   * gradient and lie on any device: [B] float32. Throws rsm::UsageError where
   * it is not differentiable. */
  virtual torch::Tensor value_of(const torch::Tensor& images,
                                 const Prompts& prompts) const;
};

/** What value_of() of most rewards begins with. Throws rsm::Error, beginning
 * with "[who]", unless images are [B,3,H,W], H, W >= 1, of floating point, and
 * prompts are as many. */
void check_picture_shapes(const std::string& who, const torch::Tensor& images,
                          const Prompts& prompts);

/** What score_groups() of those that see groups begins with. Throws rsm::Error
 * unless there is a label for each of `count` pictures, and no label stands
 * apart from its like. */
void check_groups(const std::string& who, int64_t count,
                  const std::vector<int64_t>& group);

/** What score() of most rewards begins with: the same, and images have to be
 * float32 on the CPU and finite; the first that is not is named. */
void check_pictures(const std::string& who, const torch::Tensor& images,
                    const Prompts& prompts);

}  // namespace rsm
