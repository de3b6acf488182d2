// What a run looks like from outside, and what its processes say of it.

#include <utility>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/rewards/score_bytes.h"
#include "rsm/runs/memory_advice.h"
#include "rsm/runs/samples.h"
#include "rsm/train/finetune.h"

namespace rsm {

void Finetune::stop_point() {
  if (ranks_.any(progress_.stopping())) throw Interrupted("interrupted");
}

void Finetune::apart(const std::function<void()>& work) {
  policy_->share(nullptr);
  try {
    work();
  } catch (...) {
    policy_->share(&ranks_);
    throw;
  }
  policy_->share(&ranks_);
}

nlohmann::json Finetune::said_by_first(const nlohmann::json& line) {
  if (ranks_.is_sole()) return line;
  return from_bytes(ranks_.first_says(to_bytes(line)));
}

Evaluation Finetune::evaluate_now(const std::string& samples) {
  const Clock clock;
  const Drawing drawing = {*parts_.conditions, *parts_.model.path,
                           *parts_.model.decoder, eval_times_,
                           options_.eval_solving};
  progress_.begin("evaluation", parts_.evaluation_set.size());
  Evaluation result;
  const auto work = [&] {
    policy_->sample_with(Copy::average);
    apart([&] {
      result = evaluate(
          policy_->copy(Copy::evaluation), drawing, parts_.evaluation_set,
          *parts_.reward,
          [&](int64_t done) { progress_.update(done * ranks_.size(), ""); },
          parts_.beside.get(), &ranks_);
    });
    const auto drift =
        path_drift(policy_->copy(Copy::average), policy_->copy(Copy::reference),
                   drawing, parts_.evaluation_set, options_.eval_drift_steps);
    result.kl = drift.kl;
    result.watch["outputs"] = drift.log_output_ratio;
  };
  try {
    with_memory_advice(
        "an evaluation",
        cat("lower compute.rollout_tile (", options_.rollout_tiles.tile,
            ") or compute.train_tile (", options_.train_tiles.tile,
            "), compute.threads (", options_.rollout_tiles.workers,
            ") or evaluation.images (", options_.eval_images, ")"),
        work);
  } catch (...) {
    sample_as_trained();
    throw;
  }
  progress_.end();
  sample_as_trained();
  result.pictures.epoch = state_.epoch;
  if (ranks_.is_first()) {
    keep_evaluation(options_.folder, samples, parts_.reward->main_metric(),
                    parts_.evaluation_set, result);
  }
  state_.spent.wall_seconds += clock.seconds();
  return result;
}

void Finetune::add_evaluation(nlohmann::json& line,
                              const Evaluation& evaluation) const {
  line["eval"] = to_json(evaluation);
  line["eval_reward"] = evaluation.all.means.at("reward");
  for (const auto& text : evaluation.warnings) {
    line["warnings"].push_back(text);
  }
}

}  // namespace rsm
