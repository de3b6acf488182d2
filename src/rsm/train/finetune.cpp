#include "rsm/train/finetune.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/memory.h"
#include "rsm/base/random.h"
#include "rsm/estimators/picture_groups.h"
#include "rsm/estimators/reward_parts.h"
#include "rsm/io/run_log.h"
#include "rsm/models/lora_start.h"
#include "rsm/objective/scaled_residual.h"
#include "rsm/objective/targets.h"
#include "rsm/rewards/weighted_reward.h"
#include "rsm/runs/memory_advice.h"
#include "rsm/runs/pending_rollout.h"
#include "rsm/runs/ranks.h"
#include "rsm/runs/run_folder.h"
#include "rsm/train/health.h"
#include "rsm/train/scalar_network.h"
#include "rsm/values/value_gradient.h"

namespace rsm {
namespace {

/** Which keys lower what an epoch takes, "rollout_tile" or "train_tile" first.
 */
std::string epoch_memory_advice(const std::string& tile, const RunOptions& o) {
  const auto& tiles = tile == "train_tile" ? o.train_tiles : o.rollout_tiles;
  return cat("lower compute.", tile, " (", tiles.tile, ") or compute.threads (",
             tiles.workers, "), prompts.per_epoch (", o.prompts_per_epoch,
             ") or prompts.samples_per_prompt (", o.samples_per_prompt, ")");
}

/** What the method's estimator learns; null: nothing. */
std::shared_ptr<LearntScalar> learnt_beside(const NetworkModule& policy,
                                            const RunOptions& o) {
  const auto made = [&](ScalarNetwork::Of whose,
                        const ScalarNetworkKnobs& knobs) {
    return std::make_shared<ScalarNetwork>(whose, knobs, policy, o.seed,
                                           o.device, o.train_tiles);
  };
  const auto& knobs = o.method.estimator;
  if (knobs.has_flow()) return made(ScalarNetwork::Of::flow, knobs.flow);
  if (!knobs.has_surrogate()) return nullptr;
  return made(ScalarNetwork::Of::surrogate, knobs.surrogate);
}

/** The consistency model that gradients are taken through; null: none is. */
std::unique_ptr<GuidedNetwork> predictor_of(const RunOptions& options,
                                            const Network& network) {
  if (options.predictor.empty()) return nullptr;
  const auto model = with_lora(network, options.predictor,
                               options.training_type, options.device);
  model->set_activation_checkpointing(options.activation_checkpointing);
  return std::make_unique<GuidedNetwork>(model, Condition(), /*scale=*/1,
                                         options.train_tiles);
}

}  // namespace

Finetune::Finetune(const RunOptions& options, Progress& progress,
                   Communicator* ranks)
    : Finetune(
          options,
          open_parts(options, progress, ranks == nullptr || ranks->is_first()),
          progress, ranks) {}

Finetune::Finetune(const RunOptions& options, RunParts parts,
                   Progress& progress, Communicator* ranks)
    : options_(options),
      progress_(progress),
      ranks_(ranks == nullptr ? sole_ : *ranks),
      parts_(std::move(parts)),
      eval_times_(parts_.model.path->times(options.eval_steps)),
      plan_(options.plan()),
      replay_(options.folder, options.method.estimator.gradient),
      transitions_(plan_.transitions(*parts_.model.path)) {
  check_same_run(ranks_, options_, parts_.inputs);
  if (!ranks_.is_first()) replay_.leave_writing();
  policy_ = std::make_unique<Policy>(
      std::exchange(parts_.model.network, {}),
      parts_.conditions->encode({options.negative_prompt}), options.policy());
  if (options.method.estimator.gradient.prompt_dropout > 0) {
    empty_prompt_ = parts_.conditions->encode({""});
  }
  GradientParts asked = {*parts_.reward, *parts_.model.decoder,
                         *parts_.model.path, policy_->copy(Copy::training),
                         policy_->copy(Copy::reference)};
  asked.ranks = &ranks_;
  if (options.method.estimator.has_flow()) {
    const auto network = policy_->trained_network().network();
    unguided_ =
        std::make_unique<GuidedNetwork>(network, Condition(),
                                        /*scale=*/1, options.train_tiles);
    if (ranks_.is_sole()) unguided_->watch(&progress_);
    asked.plain = unguided_.get();
  }
  asked.learnt = learnt_beside(*policy_->trained_network().network(), options);
  predictor_ = predictor_of(options, policy_->trained_network().network());
  asked.predictor = predictor_.get();
  estimator_ =
      make_estimator(options.method, options.seed, asked,
                     {policy_->trained_network().network(), options.train_tiles,
                      options.policy().activation_checkpointing});
  if (options.method.strength.scaled_residual) {
    scaled_residual_ = std::make_unique<ScaledResidual>(
        policy_->copy(Copy::rollout), policy_->copy(Copy::reference),
        transitions_);
  }
  optimiser_ = std::make_unique<torch::optim::AdamW>(
      policy_->parameters(),
      torch::optim::AdamWOptions(options.lr)
          .betas({options.adam_beta1, options.adam_beta2})
          .eps(options.adam_eps)
          .weight_decay(options.weight_decay));
  configured_branches_ = options_.method.estimator.branches;
  auto& warnings = options_.warnings;
  warnings.insert(warnings.end(), parts_.warnings.begin(),
                  parts_.warnings.end());
  for (const auto& warning : warnings) {
    progress_.say("warning: " + warning);
  }
  policy_->watch(&progress_);
  policy_->share(&ranks_);
  if (predictor_ && ranks_.is_sole()) predictor_->watch(&progress_);
  start_or_continue();
  check_same_weights(ranks_, state_.epoch, policy_->parameters());
  if (options.tensorboard && ranks_.is_first()) {
    tensorboard_ = std::make_unique<TensorBoard>(options.folder);
  }
  show_log();
}

Finetune::~Finetune() = default;

void Finetune::sample_as_trained() {
  const bool old =
      options_.method.estimator.pictures.sampled == PictureKnobs::Sampled::old;
  policy_->sample_with(old ? Copy::old : Copy::training);
}

bool Finetune::budget_is_spent() const {
  const auto& spent = state_.spent;
  return (options_.max_minutes > 0 &&
          spent.train_seconds >= options_.max_minutes * 60) ||
         (options_.max_images > 0 && spent.images >= options_.max_images);
}

bool Finetune::finished() const {
  return state_.epoch >= options_.epochs || budget_is_spent() || was_stopped();
}

nlohmann::json Finetune::run_epoch() {
  const Clock clock;
  const double before = state_.spent.train_seconds;
  auto line = train_epoch();
  ++state_.epoch;
  check_same_weights(ranks_, state_.epoch, policy_->parameters());
  auto& spent = state_.spent;
  const double seconds = ranks_.first_says(clock.seconds());
  spent.train_seconds += seconds;
  spent.wall_seconds += seconds;
  line.update({{"epoch", state_.epoch},
               {"images", spent.images},
               {"evals", spent.evaluations},
               {"updates", spent.updates},
               {"train_s", spent.train_seconds},
               {"wall_s", spent.wall_seconds},
               {"peak_memory_mb", peak_memory_mb(options_.device)}});
  state_.line = said_by_first(line);
  state_.evaluation_due = evaluation_is_due(before);
  if (state_.epoch % options_.checkpoint_every == 0 || state_.evaluation_due) {
    save();
  }
  log_->append(state_.line);
  if (state_.evaluation_due) {
    add_due_evaluation();
  }
  show_log();
  return state_.line;
}

nlohmann::json Finetune::train_epoch() {
  const RunState state = state_;
  const StateDict learnt = estimator_->state();
  const auto rollout = epoch_memory_advice("rollout_tile", options_);
  try {
    with_memory_advice("choosing branches", rollout, [&] { choose(); });
    const auto sampled =
        with_memory_advice("the rollout", rollout, [&] { return collect(); });
    auto guidance = with_memory_advice("comparing rewards", rollout,
                                       [&] { return guide(sampled); });
    log_choice(guidance);
    auto line = train_on(sampled, guidance);
    if (options_.method.estimator.budget.is_on()) {
      line["seconds"]["branches"] = choice_.seconds;
      line["evaluations"]["branches"] = choice_.evaluations;
    }
    return line;
  } catch (...) {
    if (state_.spent.updates == state.spent.updates) {
      state_ = state;
      estimator_->load_state(learnt);
    }
    throw;
  }
}

nlohmann::json Finetune::train_on(const Collected& sampled,
                                  Guidance& guidance) {
  const auto train = epoch_memory_advice("train_tile", options_);
  Frozen frozen;
  const Prepared epoch{sampled, guidance, frozen};
  UpdateLog updates;
  try {
    frozen = with_memory_advice("y_old and y_ref", train,
                                [&] { return freeze(sampled, guidance); });
    estimator_->reject(
        [&] {
          return target_distances(options_.method, sampled.rollout, frozen,
                                  guidance);
        },
        guidance);
    estimator_->weigh(sampled, frozen, guidance);
    updates =
        with_memory_advice("the update", train, [&] { return update(epoch); });
  } catch (const Interrupted&) {
    // Nothing is heard of a stop from the first update on.
    keep(sampled);
    throw;
  }
  // Until here a process that is killed begins with them again.
  if (ranks_.is_first()) remove_pending(options_.folder, state_.epoch);
  const double learning =
      with_memory_advice("what the estimator learns", train, [&] {
        const Clock clock;
        estimator_->learn(sampled, frozen);
        return clock.seconds();
      });
  const auto& old = options_.method.estimator.pictures.old;
  if (old.is_kept()) policy_->update_old(old.decay(state_.spent.updates));
  sample_as_trained();
  auto line = log_line(epoch, updates, learning);
  reset_reference(frozen, line);
  return line;
}

void Finetune::keep(const Collected& sampled) {
  if (sampled.is_replayed || !ranks_.is_first()) return;
  save_pending(options_.folder, state_.epoch, sampled.rollout, progress_);
}

bool Finetune::evaluation_is_due(double seconds_before) const {
  const auto periods = [&](double seconds) {
    return std::floor(seconds / (60 * options_.eval_minutes));
  };
  return state_.epoch % options_.eval_every == 0 || finished() ||
         (options_.eval_minutes > 0 &&
          periods(state_.spent.train_seconds) > periods(seconds_before));
}

Collector Finetune::collector(const RolloutPlan& plan) {
  return {options_,
          *parts_.conditions,
          parts_.model,
          plan,
          *parts_.reward,
          parts_.train_prompts,
          parts_.evaluation_set.latent_shape,
          progress_,
          ranks_};
}

Collected Finetune::collect() {
  const auto plan = plan_of_epoch(plan_, state_.epoch, options_.seed);
  Collected out;
  apart([&] {
    out = collector(plan).collect(
        state_.epoch,
        scaled_residual_ ? *scaled_residual_ : policy_->copy(Copy::rollout),
        policy_->copy(Copy::reference));
  });
  const auto& drawn = out.rollout;
  out.reference_evaluations =
      drawn.reference_evaluations + (scaled_residual_ ? drawn.evaluations : 0);
  state_.spent.images += drawn.images();
  state_.spent.evaluations += drawn.evaluations + drawn.reference_evaluations;
  out.drawn = out.scores;
  if (out.drawn.parts.size() > 1) {
    out.parts = part_standings(
        out.drawn, picture_groups(out.rollout, plan.estimator), plan.estimator);
  }
  if (replay_.is_on()) {
    static_cast<Sampled&>(out) =
        replay_.mixed(out, state_.epoch,
                      counted_seed(options_.seed, Purpose::replay,
                                   {static_cast<uint64_t>(state_.epoch)}),
                      plan_, *parts_.conditions);
    out.is_replayed = true;
  }
  return out;
}

Guidance Finetune::guide(const Collected& sampled) {
  const Clock clock;
  Guidance out;
  try {
    out = estimator_->guide(sampled, state_.epoch);
    state_.spent.evaluations += out.evaluations;
    auto told = suspicious(sampled.drawn);
    for (const auto& text :
         part_warnings(sampled.parts, options_.method.estimator)) {
      told.push_back(text);
    }
    out.warnings.insert(out.warnings.begin(), told.begin(), told.end());
    const auto before = epoch_before(state_.line);
    const auto dead = dead_groups_warning(
        sampled, out.advantages, parts_.reward->name(), before, options_);
    if (!dead.empty()) out.warnings.push_back(dead);
    if (out.advantages.dead_groups >= out.advantages.groups()) {
      out.numbers["dead_epochs"] = static_cast<double>(before.dead_epochs + 1);
    }
  } catch (...) {
    keep(sampled);
    throw;
  }
  out.seconds = clock.seconds();
  return out;
}

}  // namespace rsm
