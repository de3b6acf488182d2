#include "rsm/analysis/signal_run.h"

#include <filesystem>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/state_dict.h"
#include "rsm/data/prompts.h"
#include "rsm/io/config.h"
#include "rsm/io/json_text.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/models/policy.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/run_options.h"
#include "rsm/runs/run_state.h"

namespace rsm {
namespace {

/** A run and where it stands. */
struct Standing {
  RunOptions run;
  StateDict trained;  ///< weights; empty: as they are before training
  int64_t epoch = 0;
};

Standing read_standing(const SignalRunOptions& options) {
  const auto& source = options.source;
  if (!std::filesystem::is_directory(source)) {
    return {read_run_options(Config::load(source, options.overrides)), {}, 0};
  }
  std::vector<std::string> damaged;
  const auto checkpoint = latest_checkpoint(source, &damaged);
  RSM_CHECK(checkpoint.has_value(), "[signal] ", source,
            " has no whole checkpoint", damaged.empty() ? "" : ": ",
            join(damaged, "; "),
            "; give the folder of a run, or a config for the model before "
            "training");
  // The LoRA that the run began with may be gone; its weights are here.
  std::vector<std::string> overrides = {"train.lora.from=''"};
  overrides.insert(overrides.end(), options.overrides.begin(),
                   options.overrides.end());
  auto run = read_run_options(
      Config::parse(checkpoint->config, source + "/config.yaml", overrides));
  if (!checkpoint->log.empty()) {
    auto chosen = chosen_branches(
        run,
        parse_json("[signal] the log of " + source, checkpoint->log.back()));
    if (!chosen.empty()) run.method.estimator.branches = std::move(chosen);
  }
  return {std::move(run), with_prefix(checkpoint->tensors, "trained."),
          checkpoint->epoch};
}

/** Of the run's own branches, or of as many at every step as are measured. */
std::vector<int64_t> branches_of(const RunOptions& run, int64_t measured) {
  std::vector<int64_t> out(run.steps - 1, measured);
  if (run.method.estimator.source != EstimatorKnobs::Source::branches) {
    return out;
  }
  const auto plan = run.plan();
  for (int64_t i = 0; i < run.steps - 1; ++i) out[i] = plan.branches_at(i);
  return out;
}

RolloutRequest request_of(const Standing& at, const SignalRunOptions& options,
                          const ImageModel& model) {
  RolloutRequest out;
  out.run_seed = options.seed.value_or(at.run.seed);
  out.epoch = at.epoch;
  const auto prompts = load_prompts(at.run.train_prompts);
  for (const int64_t i :
       epoch_prompts(out.run_seed, at.epoch, prompts, options.roots)) {
    out.prompts.push_back(prompts[i]);
  }
  out.conditions = model.text->encode(texts_of(out.prompts));
  out.latent_shape = model.latent_shape(at.run.size);
  return out;
}

}  // namespace

SignalFindings measure_signal(const SignalRunOptions& options,
                              Progress& progress) {
  const auto at = read_standing(options);
  const auto& run = at.run;
  require_device(run.device);
  // Asked before a model is loaded for it.
  sibling_method(run.method, run.steps, 0, options.branches);
  const auto reward = make_any_rewards(run.rewards, progress);
  reward->check();
  auto model = ImageModel::load(run.model, run.model_options());
  const auto request = request_of(at, options, model);
  const int64_t scale = model.decoder->scale();
  reward->check_inputs(request.prompts, request.latent_shape[1] * scale,
                       request.latent_shape[2] * scale);
  Policy policy(std::exchange(model.network, {}),
                model.text->encode({run.negative_prompt}), run.policy());
  model.text->release();
  if (!at.trained.empty()) {
    policy.load_trainable(at.trained);
    policy.sample_with(Copy::training);
  }
  policy.watch(&progress);
  SignalFindings out;
  out.signals =
      time_signals(run.method,
                   {run.steps, run.noise, run.continuation_steps,
                    options.branches, options.blocks},
                   request,
                   {policy.copy(Copy::rollout), policy.trained_network(),
                    policy.parameters(), *model.path, *model.decoder, *reward},
                   progress);
  const auto roots =
      static_cast<double>(run.prompts_per_epoch * run.samples_per_prompt) /
      static_cast<double>(run.updates_per_epoch);
  out.budgets =
      time_budgets(out.signals, branches_of(run, options.branches), roots);
  out.words = signal_words(out.signals, out.budgets);
  return out;
}

}  // namespace rsm
