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

/** Judges pictures, a remote reward's while others are drawn. */
class Collector::Judges {
 public:
  Judges(const Collector& of, const Rollout& rollout)
      : of_(of),
        rollout_(rollout),
        how_(judging_of(of.reward_, rollout, of.plan_.estimator)),
        of_prompt_(rollout.images() / std::ssize(rollout.prompts)) {}

  /** Pictures of prompts [first, first + count), which have to stay. */
  void judge(int64_t first, int64_t count) {
    const int64_t image = first * of_prompt_, images = count * of_prompt_;
    check_finite(rollout_.latents.slice(0, image, image + images),
                 of_.options_.folder);
    const auto when =
        of_.reward_.is_remote() ? std::launch::async : std::launch::deferred;
    judging_.emplace_back(image, std::async(when, [=, this] {
                            return judged(rollout_, *of_.model_.decoder,
                                          of_.reward_, image, images, how_);
                          }));
  }

  /** Their scores, in the order in which they came. */
  ScoresFrom scores() {
    ScoresFrom out;
    for (auto& [image, part] : judging_) {
      of_.progress_.stop_point();
      out.emplace_back(image, part.get());
    }
    return out;
  }

  /** Until nothing refers to the rollout. */
  void wait() {
    for (auto& [image, part] : judging_) {
      // A deferred one would only begin now.
      if (part.valid() && part.wait_for(std::chrono::seconds(0)) !=
                              std::future_status::deferred) {
        part.wait();
      }
    }
  }

 private:
  const Collector& of_;
  const Rollout& rollout_;
  Judging how_;  ///< of one prompt each, so that a part has them whole
  int64_t of_prompt_;
  std::vector<std::pair<int64_t, std::future<RewardScores>>> judging_;
};

Collected Collector::collect(int64_t epoch, Denoiser& denoiser,
                             Denoiser& reference) {
  Collected out;
  const auto whole = request(epoch);
  out.conditions = whole.conditions;
  out.rollout = make_room(*model_.path, plan_, whole);
  const int64_t kept =
      load_pending(options_.folder, epoch, out.rollout, progress_);
  ranks_.check_same("how many prompts' pictures wait", std::to_string(kept));
  if (kept == std::ssize(whole.prompts)) {
    progress_.say(cat("epoch ", epoch + 1,
                      ": the pictures drawn before are judged again"));
    judge_kept(out, epoch);
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

void Collector::judge_kept(Collected& out, int64_t epoch) {
  const Clock clock;
  Judges judges(*this, out.rollout);
  const auto own = ranks_.share_of(std::ssize(out.rollout.prompts));
  if (own.count() > 0) judges.judge(own.first, own.count());
  out.scores = all_scores(out.rollout, epoch, /*is_kept=*/true, judges);
  out.reward_seconds = clock.seconds();
}

void Collector::draw_and_judge(Collected& out, const RolloutRequest& whole,
                               int64_t kept, Denoiser& denoiser,
                               Denoiser& reference) {
  const Clock clock;
  auto& rollout = out.rollout;
  const int64_t before = rollout.evaluations,
                reference_before = rollout.reference_evaluations;
  Judges judges(*this, rollout);
  const auto kept_here = ranks_.share_of(kept);
  if (kept_here.count() > 0) judges.judge(kept_here.first, kept_here.count());
  auto own = ranks_.share_of(std::ssize(whole.prompts) - kept);
  own = {own.first + kept, own.last + kept};
  bool stopped = false;
  try {
    draw_prompts(rollout, whole, own, kept, denoiser, reference, judges);
  } catch (const Interrupted&) {
    if (ranks_.is_sole()) throw;
    stopped = true;
  }
  if (ranks_.any(stopped)) {
    judges.wait();
    throw Interrupted("interrupted");
  }
  gather_rollout(ranks_, kept, rollout,
                 {rollout.evaluations - before,
                  rollout.reference_evaluations - reference_before});
  progress_.end();
  out.rollout_seconds = clock.seconds();
  out.scores = all_scores(rollout, whole.epoch, /*is_kept=*/false, judges);
  out.reward_seconds = clock.seconds() - out.rollout_seconds;
}

void Collector::draw_prompts(Rollout& rollout, const RolloutRequest& whole,
                             Share own, int64_t kept, Denoiser& denoiser,
                             Denoiser& reference, Judges& judges) {
  const auto prompts = std::ssize(whole.prompts);
  const int64_t left = own.count();
  const int64_t parts =
      std::min(left, rollout_parts(rollout, prompts, reward_.is_remote()));
  progress_.begin(cat("epoch ", whole.epoch + 1, " rollout"),
                  plan_.evaluations(prompts, whole.members));
  const auto cost = running_cost(options_.method, reference);
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t first = own.first + left * p / parts;
    const int64_t count = own.first + left * (p + 1) / parts - first;
    const int64_t before = rollout.evaluations;
    try {
      draw(
          denoiser, *model_.path, plan_, whole, {first, count}, rollout,
          [&](int64_t done) {
            progress_.update(before + done * ranks_.size(), "");
          },
          cost);
    } catch (const Interrupted&) {
      rollout.evaluations = before;
      // What soft returns know of the reference is not kept, nor what ranks
      // drew: the first prompts are.
      if (first > kept && !rollout.cost.defined() && ranks_.is_sole()) {
        save_pending(options_.folder, whole.epoch, rollout, first, progress_);
      }
      throw;
    }
    judges.judge(first, count);
  }
}

RewardScores Collector::all_scores(const Rollout& rollout, int64_t epoch,
                                   bool is_kept, Judges& judges) {
  const auto keep = [&] {
    if (is_kept || !ranks_.is_first()) return;
    save_pending(options_.folder, epoch, rollout, progress_);
  };
  ScoresFrom own;
  bool stopped = false;
  std::string failure;
  try {
    own = judges.scores();
  } catch (const std::exception& failed) {
    judges.wait();
    if (ranks_.is_sole()) {
      keep();
      throw;
    }
    stopped = dynamic_cast<const Interrupted*>(&failed) != nullptr;
    if (!stopped) failure = failed.what();
  }
  if (!ranks_.is_sole()) {
    const auto all = gather_scores(ranks_, own, stopped, failure);
    if (all.stopped || !all.failure.empty()) {
      keep();
      ranks_.barrier();  // the file is there before a rank ends the others
      if (all.failure.empty()) throw Interrupted("interrupted");
      throw Error(all.failure);
    }
    own = all.scores;
  }
  std::vector<RewardScores> scores;
  for (auto& [image, some] : own) scores.push_back(std::move(some));
  try {
    return join_scores(cat("reward ", reward_.name()), scores);
  } catch (const Error&) {
    keep();
    ranks_.barrier();  // as above: it is the same on all of them
    throw;
  }
}

}  // namespace rsm
