#include "rsm/train/collector.h"

#include <future>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/data/prompts.h"
#include "rsm/estimators/soft_return.h"
#include "rsm/rewards/answers.h"
#include "rsm/runs/judged.h"
#include "rsm/runs/pending_rollout.h"
#include "rsm/train/health.h"

namespace rsm {
namespace {

/** Parts that a rollout is drawn in, where its pictures are judged meanwhile:
 * the last one's judging is not hidden. */
constexpr int64_t kParts = 4;

}  // namespace

int64_t rollout_parts(const Rollout& rollout, int64_t prompts, bool is_remote) {
  constexpr int64_t kBytes = int64_t{1} << 28;
  constexpr int64_t kHeld = 6;
  const int64_t held = kHeld * static_cast<int64_t>(rollout.latents.nbytes());
  return std::min(
      prompts, std::max(is_remote ? kParts : 1, (held + kBytes - 1) / kBytes));
}

Collected Collector::collect(int64_t epoch, Denoiser& denoiser,
                             Denoiser& reference) {
  Collected out;
  const auto whole = request(epoch);
  out.conditions = whole.conditions;
  out.rollout = make_room(*model_.path, plan_, whole);
  const int64_t kept =
      load_pending(options_.folder, epoch, out.rollout, progress_);
  if (kept == std::ssize(whole.prompts)) {
    progress_.say(cat("epoch ", epoch + 1,
                      ": the pictures drawn before are judged again"));
    judge_kept(out);
    return out;
  }
  if (kept > 0) {
    progress_.say(cat("epoch ", epoch + 1, ": the pictures of ", kept,
                      " prompts were drawn before"));
  }
  draw_and_judge(out, whole, kept, denoiser, reference);
  return out;
}

RolloutRequest Collector::request(int64_t epoch) const {
  const auto chosen =
      epoch_prompts(options_.seed, epoch, prompts_, options_.prompts_per_epoch);
  RolloutRequest out;
  for (const int64_t i : chosen) {
    out.prompts.push_back(prompts_[i]);
  }
  out.conditions = conditioner_.encode(texts_of(out.prompts));
  out.members = options_.samples_per_prompt;
  out.run_seed = options_.seed;
  out.epoch = epoch;
  out.latent_shape = latent_shape_;
  return out;
}

void Collector::judge_kept(Collected& out) {
  const Clock clock;
  check_finite(out.rollout.latents, options_.folder);
  out.scores =
      judged(out.rollout, *model_.decoder, reward_, 0, out.rollout.images(),
             judging_of(reward_, out.rollout, plan_.estimator));
  out.reward_seconds = clock.seconds();
}

void Collector::draw_and_judge(Collected& out, const RolloutRequest& whole,
                               int64_t kept, Denoiser& denoiser,
                               Denoiser& reference) {
  const Clock clock;
  auto& rollout = out.rollout;
  const auto prompts = std::ssize(whole.prompts);
  const int64_t left = prompts - kept;
  const int64_t parts =
      std::min(left, rollout_parts(rollout, prompts, reward_.is_remote()));
  const int64_t of_prompt = rollout.images() / prompts;
  progress_.begin(cat("epoch ", whole.epoch + 1, " rollout"),
                  prompts * whole.members * plan_.evaluations_per_root());
  // Of one prompt each, so that a part has them whole.
  const auto how = judging_of(reward_, rollout, plan_.estimator);
  const auto cost = running_cost(options_.method, reference);
  std::vector<std::future<RewardScores>> judging;
  const auto judge = [&](int64_t first, int64_t count) {
    const int64_t image = first * of_prompt, images = count * of_prompt;
    check_finite(rollout.latents.slice(0, image, image + images),
                 options_.folder);
    judging.push_back(std::async(
        reward_.is_remote() ? std::launch::async : std::launch::deferred,
        [=, this, &rollout, &how] {
          return judged(rollout, *model_.decoder, reward_, image, images, how);
        }));
  };
  if (kept > 0) judge(0, kept);
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t first = kept + left * p / parts;
    const int64_t count = kept + left * (p + 1) / parts - first;
    const int64_t before = rollout.evaluations;
    try {
      draw(
          denoiser, *model_.path, plan_, whole, {first, count}, rollout,
          [&](int64_t done) { progress_.update(before + done, ""); }, cost);
    } catch (const Interrupted&) {
      rollout.evaluations = before;
      // What soft returns know of the reference is not kept.
      if (first > kept && !rollout.cost.defined()) {
        save_pending(options_.folder, whole.epoch, rollout, first, progress_);
      }
      throw;
    }
    judge(first, count);
  }
  progress_.end();
  out.rollout_seconds = clock.seconds();
  try {
    std::vector<RewardScores> scores;
    for (auto& part : judging) {
      progress_.stop_point();
      scores.push_back(part.get());
    }
    out.scores = join_scores(cat("reward ", reward_.name()), scores);
  } catch (...) {
    for (auto& part : judging) {
      // A deferred one would only begin now.
      if (part.valid() && part.wait_for(std::chrono::seconds(0)) !=
                              std::future_status::deferred) {
        part.wait();
      }
    }
    save_pending(options_.folder, whole.epoch, rollout, progress_);
    throw;
  }
  out.reward_seconds = clock.seconds() - out.rollout_seconds;
}

}  // namespace rsm
