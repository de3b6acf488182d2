#include "rsm/train/collector.h"

#include <future>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/data/prompts.h"
#include "rsm/rewards/answers.h"
#include "rsm/rollouts/chunks.h"
#include "rsm/runs/pending_rollout.h"
#include "rsm/train/health.h"

namespace rsm {
namespace {

/** Parts that a rollout is drawn in, where its pictures are judged meanwhile:
 * the last one's judging is not hidden. */
constexpr int64_t kParts = 4;

}  // namespace

EpochData Collector::collect(int64_t epoch, Denoiser& denoiser) {
  EpochData data;
  const auto whole = request(epoch);
  data.conditions = whole.conditions;
  if (auto kept = load_pending(options_.folder, epoch, whole.prompts,
                               options_.device, progress_)) {
    progress_.say(cat("epoch ", epoch + 1,
                      ": the pictures drawn before are judged again"));
    judge_kept(data, std::move(*kept));
  } else {
    draw_and_judge(data, whole, denoiser);
  }
  data.evaluations.rollout = data.rollout.evaluations;
  return data;
}

RolloutRequest Collector::request(int64_t epoch) const {
  const auto chosen =
      epoch_prompts(options_.seed, epoch, prompts_, options_.prompts_per_epoch);
  RolloutRequest out;
  for (const int64_t i : chosen) {
    out.prompts.push_back(prompts_[i]);
  }
  const auto index = torch::tensor(chosen, at::kLong).to(options_.device);
  out.conditions = conditions_.select(index);
  out.members = options_.samples_per_prompt;
  out.run_seed = options_.seed;
  out.epoch = epoch;
  out.latent_shape = model_.latent_shape();
  return out;
}

RewardScores Collector::judge(const Rollout& rollout) const {
  Prompts prompts;
  for (const int64_t p : rollout.image_prompt) {
    prompts.push_back(rollout.prompts[p]);
  }
  return reward_.score(to_images(rollout.latents).to(at::kCPU), prompts);
}

void Collector::judge_kept(EpochData& data, Rollout kept) {
  const Clock clock;
  data.rollout = std::move(kept);
  check_finite(data.rollout.latents, options_.folder);
  data.scores = judge(data.rollout);
  data.seconds.reward = clock.seconds();
}

void Collector::draw_and_judge(EpochData& data, const RolloutRequest& whole,
                               Denoiser& denoiser) {
  const Clock clock;
  const auto prompts = static_cast<int64_t>(whole.prompts.size());
  const int64_t parts = reward_.waits() ? std::min(kParts, prompts) : 1;
  const auto first = [&](int64_t part) { return prompts * part / parts; };
  progress_.begin(cat("epoch ", whole.epoch + 1, " rollout"),
                  prompts * whole.members * plan_.evaluations_per_root());
  std::vector<Rollout> drawn(parts);
  std::vector<std::future<RewardScores>> judging;
  int64_t before = 0;
  for (int64_t p = 0; p < parts; ++p) {
    drawn[p] =
        roll_out(denoiser, *model_.path, plan_,
                 part_of(whole, first(p), first(p + 1) - first(p)),
                 [&](int64_t done) { progress_.update(before + done, ""); });
    before += drawn[p].evaluations;
    check_finite(drawn[p].latents, options_.folder);
    judging.push_back(
        std::async(parts > 1 ? std::launch::async : std::launch::deferred,
                   [this, &rollout = drawn[p]] { return judge(rollout); }));
  }
  progress_.end();
  data.seconds.rollout = clock.seconds();
  try {
    std::vector<RewardScores> scores;
    for (auto& part : judging) {
      progress_.stop_point();
      scores.push_back(part.get());
    }
    data.scores = join_scores(cat("reward ", reward_.name()), scores);
  } catch (...) {
    for (auto& part : judging) {
      // A deferred one would only begin now.
      if (part.valid() && part.wait_for(std::chrono::seconds(0)) !=
                              std::future_status::deferred) {
        part.wait();
      }
    }
    save_pending(options_.folder, whole.epoch, joined(std::move(drawn)),
                 progress_);
    throw;
  }
  data.rollout = joined(std::move(drawn));
  data.seconds.reward = clock.seconds() - data.seconds.rollout;
}

}  // namespace rsm
