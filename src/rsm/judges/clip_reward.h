#pragma once

#include <memory>
#include <string>

#include "rsm/base/reward.h"
#include "rsm/rewards/rewards.h"

namespace rsm {

/** Rewards that compare CLIP's features of a picture (f) with something, both
 * of norm 1:
 *
 * - aesthetic: the affine head "head.safetensors" of f, a rating of about 0 to
 *   10 (judges/affine_head.h). Prompts are not looked at.
 * - clip-score: the cosine of f and the prompt's features.
 * - pick-score: exp(logit_scale) times it (PickScore, arXiv 2305.01569).
 * - hps-v2, hps-v2.1: the cosine, of pictures padded to a square (Human
 *   Preference Score, arXiv 2306.09341).
 *
 * Each has one maker; `path` is a folder or a .safetensors file as
 * ClipTowers (judges/clip_towers.h) reads it, by default models/NAME from the
 * folder in which rsm runs. Differentiable. Read when it is first asked;
 * check() throws rsm::Error where it cannot be read. */
std::unique_ptr<Reward> make_aesthetic(const RewardSpec& spec,
                                       const std::string& path);
std::unique_ptr<Reward> make_clip_score(const RewardSpec& spec,
                                        const std::string& path);
std::unique_ptr<Reward> make_pick_score(const RewardSpec& spec,
                                        const std::string& path);
std::unique_ptr<Reward> make_hps(const RewardSpec& spec,
                                 const std::string& path);

}  // namespace rsm
