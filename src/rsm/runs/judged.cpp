#include "rsm/runs/judged.h"

#include <algorithm>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/estimators/diversity.h"
#include "rsm/rewards/answers.h"

namespace rsm {

RewardScores judged(const Rollout& rollout, const Decoder& decoder,
                    const Reward& reward, int64_t first, int64_t count,
                    bool with_features) {
  const int64_t most =
      pictures_at_once(decoder, rollout.latents.sizes().slice(1).vec());
  std::vector<RewardScores> scores;
  for (int64_t i = first; i < first + count; i += most) {
    const int64_t end = std::min(i + most, first + count);
    Prompts prompts;
    for (int64_t image = i; image < end; ++image) {
      prompts.push_back(rollout.prompts[rollout.image_prompt[image]]);
    }
    const auto images = decoder.decode(rollout.latents.slice(0, i, end));
    scores.push_back(reward.score(images, prompts));
    if (with_features) scores.back().features = pixel_features(images);
  }
  return join_scores(cat("reward ", reward.name()), scores);
}

}  // namespace rsm
