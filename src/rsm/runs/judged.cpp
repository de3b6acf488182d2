#include "rsm/runs/judged.h"

#include <algorithm>
#include <numeric>

#include "rsm/base/error.h"
#include "rsm/estimators/diversity.h"
#include "rsm/estimators/picture_groups.h"
#include "rsm/rewards/answers.h"

namespace rsm {
namespace {

Prompts prompts_of(const Rollout& rollout,
                   const std::vector<int64_t>& pictures) {
  Prompts prompts;
  for (const int64_t image : pictures) {
    prompts.push_back(rollout.prompts[rollout.image_prompt[image]]);
  }
  return prompts;
}

/** Pictures whose groups stand one after the other, in order. */
RewardScores judged_in_groups(const Rollout& rollout, const Decoder& decoder,
                              const Reward& reward, int64_t at_once,
                              const Judging& how,
                              const std::vector<int64_t>& pictures,
                              const std::vector<int64_t>& group) {
  std::vector<RewardScores> scores;
  for (const auto& range : group_ranges(group, at_once)) {
    const auto from = [&](const std::vector<int64_t>& all) {
      const auto begin = all.begin() + range.first;
      return std::vector<int64_t>(begin, begin + range.count);
    };
    const auto some = from(pictures);
    const auto latents =
        rollout.latents.index_select(0, torch::tensor(some, at::kLong));
    const auto images = decoder.decode(latents);
    scores.push_back(
        reward.score_groups(images, prompts_of(rollout, some), from(group)));
    if (how.with_features) scores.back().features = pixel_features(images);
  }
  return join_scores(cat("reward ", reward.name()), scores);
}

}  // namespace

Judging judging_of(const Reward& reward, const RolloutIndex& rollout,
                   const EstimatorKnobs& knobs) {
  Judging out;
  if (reward.sees_groups()) out.groups = picture_groups(rollout, knobs);
  out.with_features = knobs.diversity == EstimatorKnobs::Diversity::pixels;
  return out;
}

RewardScores judged(const Rollout& rollout, const Decoder& decoder,
                    const Reward& reward, int64_t first, int64_t count,
                    const Judging& how) {
  const int64_t most =
      pictures_at_once(decoder, rollout.latents.sizes().slice(1).vec());
  std::vector<int64_t> pictures(count);
  std::iota(pictures.begin(), pictures.end(), first);
  if (reward.sees_groups() && !how.groups.empty()) {
    RSM_CHECK(std::ssize(how.groups) == rollout.images(), "[judged] ",
              how.groups.size(), " labels of groups for ", rollout.images(),
              " pictures; one for each is needed");
    std::stable_sort(
        pictures.begin(), pictures.end(),
        [&](int64_t a, int64_t b) { return how.groups[a] < how.groups[b]; });
    std::vector<int64_t> group, place;
    for (const int64_t image : pictures) {
      group.push_back(how.groups[image]);
      place.push_back(image - first);
    }
    return put_in_order(
        judged_in_groups(rollout, decoder, reward, most, how, pictures, group),
        place);
  }
  std::vector<RewardScores> scores;
  for (const auto& [from, some] : picture_ranges(count, most)) {
    const auto begin = pictures.begin() + from;
    const auto images = decoder.decode(
        rollout.latents.slice(0, first + from, first + from + some));
    scores.push_back(
        reward.score(images, prompts_of(rollout, {begin, begin + some})));
    if (how.with_features) scores.back().features = pixel_features(images);
  }
  return join_scores(cat("reward ", reward.name()), scores);
}

}  // namespace rsm
