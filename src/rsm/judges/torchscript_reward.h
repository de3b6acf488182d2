#pragma once

#include <memory>
#include <string>

#include "rsm/base/reward.h"
#include "rsm/rewards/rewards.h"

namespace rsm {

/** The reward `torchscript:FILE`: an exported network, whose forward is one of
 *
 *     (images: Tensor) -> Tensor
 *     (images: Tensor, ids: Tensor) -> Tensor
 *     (images: Tensor, prompts: List[str]) -> Tensor
 *
 * with images [B,3,H,W] in [0,1], ids [B,L] int64 of CLIP's tokenizer, whose
 * files lie in tokenizer/ beside FILE or beside it themselves, and scores [B]
 * or [B,1]. It is told what device and type it computes on by `spec`: other
 * types than float32 are given to its weights, too.
 *
 * check() shows it a black picture and one of noise, of 224 pixels or of its
 * attribute picture_size: int. Where `spec.gradient` says so it asks for their
 * gradient. Throws rsm::Error, naming the file and what the network says, where
 * it cannot be read, has another forward, fails, or gives other shapes, NaN or
 * no gradient. */
std::unique_ptr<Reward> make_torchscript_reward(const RewardSpec& spec,
                                                const std::string& file);

}  // namespace rsm
