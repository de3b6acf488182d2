#include "rsm/train/finetune.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/clock.h"
#include "rsm/base/error.h"
#include "rsm/base/memory.h"
#include "rsm/base/random.h"
#include "rsm/data/prompts.h"
#include "rsm/estimators/pruning.h"
#include "rsm/io/run_log.h"
#include "rsm/objective/even_output.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/weighted_reward.h"
#include "rsm/runs/memory_advice.h"
#include "rsm/runs/pending_rollout.h"
#include "rsm/runs/run_folder.h"
#include "rsm/runs/run_origin.h"
#include "rsm/runs/samples.h"
#include "rsm/train/collector.h"
#include "rsm/train/epoch_data.h"
#include "rsm/train/health.h"

namespace rsm {
namespace {

/** Prompts encoded between two looks at whether to stop. */
constexpr size_t kEncodedAtOnce = 4096;

/** Which keys lower what an epoch takes, "rollout_tile" or "train_tile" first.
 */
std::string epoch_memory_advice(const std::string& tile, const RunOptions& o) {
  const auto& tiles = tile == "train_tile" ? o.train_tiles : o.rollout_tiles;
  return cat("lower compute.", tile, " (", tiles.tile, ") or compute.threads (",
             tiles.workers, "), prompts.per_epoch (", o.prompts_per_epoch,
             ") or prompts.samples_per_prompt (", o.samples_per_prompt, ")");
}

/** Of a line of the log, 0 where it has none. */
double kl_of(const nlohmann::json& line) {
  const auto found = line.find("kl");
  if (found == line.end()) {
    return 0;
  }
  return found->is_number() ? found->get<double>() : NAN;
}

}  // namespace

Finetune::Finetune(const RunOptions& options, Progress& progress)
    : options_(options),
      progress_(progress),
      lock_(options.folder, "[finetune]", progress),
      model_(ImageModel::load(options.model)),
      policy_(std::make_unique<Policy>(model_, options.policy())),
      reward_(make_rewards(options.rewards)),
      train_prompts_(load_prompts(options.train_prompts)),
      times_(model_.path->times(options.steps)),
      eval_times_(model_.path->times(options.eval_steps)),
      plan_(options.plan()),
      transitions_(plan_.transitions(*model_.path)) {
  reward_->check();
  state_.statistics = PromptStatistics(options.method.estimator.buffer_size);
  optimiser_ = std::make_unique<torch::optim::AdamW>(
      policy_->parameters(),
      torch::optim::AdamWOptions(options.lr)
          .betas({options.adam_beta1, options.adam_beta2})
          .eps(options.adam_eps)
          .weight_decay(options.weight_decay));
  state_.average = policy_->trainable();
  train_conditions_ = conditions_of(train_prompts_);
  evaluation_set_ = make_evaluation_set(load_prompts(options.eval_prompts),
                                        options.eval_images, options.seed);
  evaluation_set_.latent_shape = model_.latent_shape();
  evaluation_set_.conditions = conditions_of(evaluation_set_.prompts);
  for (const auto& [prompts, what] :
       {std::pair{&train_prompts_, "training prompts"},
        std::pair{&evaluation_set_.prompts, "evaluation prompts"}}) {
    const auto text =
        truncation_warning(model_.tokenizer, texts_of(*prompts), what);
    if (!text.empty()) options_.warnings.push_back(text);
  }
  if (auto origin = origin_text(options_.folder); !origin.empty()) {
    options_.warnings.push_back(std::move(origin));
  }
  for (const auto& warning : options_.warnings) {
    progress_.say("warning: " + warning);
  }
  policy_->watch(&progress_);
  start_or_continue();
}

Finetune::~Finetune() = default;

Condition Finetune::conditions_of(const Prompts& prompts) {
  const auto texts = texts_of(prompts);
  std::vector<Condition> parts;
  for (size_t first = 0; first < texts.size(); first += kEncodedAtOnce) {
    progress_.stop_point();
    const auto last = std::min(first + kEncodedAtOnce, texts.size());
    parts.push_back(model_.encode({texts.begin() + first, texts.begin() + last})
                        .to(options_.device));
  }
  while (parts.size() > 1) {
    const auto last = parts.back();
    parts.pop_back();
    parts.back() = joined(parts.back(), last);
  }
  return parts.at(0);
}

double Finetune::learning_rate() const {
  if (!options_.lr_decay) {
    return options_.lr;
  }
  return options_.lr * static_cast<double>(options_.epochs - state_.epoch) /
         static_cast<double>(options_.epochs);
}

bool Finetune::budget_is_spent() const {
  const auto& spent = state_.spent;
  return (options_.max_minutes > 0 &&
          spent.train_seconds >= options_.max_minutes * 60) ||
         (options_.max_images > 0 && spent.images >= options_.max_images);
}

bool Finetune::finished() const {
  return state_.epoch >= options_.epochs || budget_is_spent();
}

nlohmann::json Finetune::run_epoch() {
  const Clock clock;
  const double lr = learning_rate();
  const double before = state_.spent.train_seconds;
  const EpochData data = train_epoch();
  ++state_.epoch;
  state_.spent.train_seconds += clock.seconds();
  state_.spent.wall_seconds += clock.seconds();
  auto& line = state_.line;
  line = log_line(data);
  line["epoch"] = state_.epoch;
  line["images"] = state_.spent.images;
  line["evals"] = state_.spent.evaluations;
  line["updates"] = state_.spent.updates;
  line["train_s"] = state_.spent.train_seconds;
  line["wall_s"] = state_.spent.wall_seconds;
  line["lr"] = lr;
  line["peak_memory_mb"] = peak_memory_mb();
  state_.evaluation_due = evaluation_is_due(before);
  if (state_.epoch % options_.checkpoint_every == 0 || state_.evaluation_due) {
    save();
  }
  log_->append(line);
  if (state_.evaluation_due) {
    add_due_evaluation();
  }
  return line;
}

EpochData Finetune::train_epoch() {
  const RunState before = state_;
  try {
    EpochData data;
    const auto rollout = epoch_memory_advice("rollout_tile", options_);
    const auto train = epoch_memory_advice("train_tile", options_);
    with_memory_advice("the rollout", rollout, [&] { data = sample(); });
    with_memory_advice("comparing rewards", rollout, [&] { compare(data); });
    with_memory_advice("y_old and y_ref", train, [&] { weigh(data); });
    with_memory_advice("the update", train, [&] { update(data); });
    return data;
  } catch (...) {
    if (state_.spent.updates == before.spent.updates) {
      state_ = before;
    }
    throw;
  }
}

bool Finetune::evaluation_is_due(double seconds_before) const {
  const auto periods = [&](double seconds) {
    return std::floor(seconds / (60 * options_.eval_minutes));
  };
  return state_.epoch % options_.eval_every == 0 || finished() ||
         (options_.eval_minutes > 0 &&
          periods(state_.spent.train_seconds) > periods(seconds_before));
}

EpochData Finetune::sample() {
  Collector collector(options_, model_, plan_, *reward_, train_prompts_,
                      train_conditions_, progress_);
  const bool even = options_.method.strength.even_output;
  EvenOutput evened(policy_->rollout(), policy_->reference(), transitions_);
  auto data = collector.collect(
      state_.epoch, even ? static_cast<Denoiser&>(evened) : policy_->rollout());
  data.evaluations.reference = even ? data.rollout.evaluations : 0;
  state_.spent.images += data.rollout.images();
  state_.spent.evaluations += data.rollout.evaluations;
  return data;
}

void Finetune::compare(EpochData& data) {
  try {
    for (const auto& text : suspicious(data.scores)) {
      data.warnings.push_back(text);
    }
    auto knobs = options_.method.estimator;
    knobs.tree.skip_steps = skipped_steps(knobs.tree, state_.epoch);
    data.advantages = row_advantages(
        data.rollout, data.scores, knobs,
        options_.method.regularisation.advantage_clip, &state_.statistics);
    name_dead_groups(data, reward_->name(), kl_of(state_.line),
                     options_.folder);
  } catch (...) {
    save_pending(options_.folder, state_.epoch, data.rollout, progress_);
    throw;
  }
  remove_pending(options_.folder, state_.epoch);
  data.trained =
      trained_states(options_.method, data.rollout,
                     counted_seed(options_.seed, Purpose::anchors,
                                  {static_cast<uint64_t>(state_.epoch)}));
}

void Finetune::weigh(EpochData& data) {
  const Clock clock;
  const auto& rollout = data.rollout;
  const auto epoch = static_cast<uint64_t>(state_.epoch);
  std::vector<double> t(rollout.states());
  for (int64_t s = 0; s < rollout.states(); ++s) {
    t[s] = times_[rollout.state_step[s]];
  }
  data.t = torch::tensor(t, at::kFloat).to(options_.device);
  data.prompt =
      torch::tensor(rollout.state_prompt, at::kLong).to(options_.device);
  /** Outputs at some states, zeros at the others. */
  const auto outputs = [&](Denoiser& denoiser,
                           const std::vector<int64_t>& states, int64_t& count) {
    const auto index = torch::tensor(states, at::kLong).to(options_.device);
    count += static_cast<int64_t>(states.size());
    const auto y = denoiser.predict(
        rollout.x.index_select(0, index), data.t.index_select(0, index),
        data.conditions.select(data.prompt.index_select(0, index)));
    return at::zeros_like(rollout.y).index_copy_(0, index, y);
  };
  data.y_old =
      policy_->rollout_is_training()
          ? rollout.y
          : outputs(policy_->training(), data.trained, data.evaluations.old);
  const bool even = options_.method.strength.even_output;
  data.kl_states =
      options_.method.regularisation.beta > 0 || even
          ? data.trained
          : watched_states(
                rollout, data.trained, kWatchedStates,
                counted_seed(options_.seed, Purpose::watched_states, {epoch}));
  data.y_ref =
      outputs(policy_->reference(), data.kl_states, data.evaluations.reference);
  if (even) {
    data.output_map = OutputMap(rollout, options_.device);
    if (!policy_->rollout_is_training()) {
      data.y_old = data.output_map.forward(data.y_old, data.y_ref);
    }
  }
  measure_states(options_.method, data);
  const bool far = warn_of_drift(data, options_.folder);
  if (!far && saved_epoch_ == state_.epoch) {
    state_.healthy_epoch = saved_epoch_;
  }
  data.seconds.old = clock.seconds();
  state_.spent.evaluations += data.evaluations.old + data.evaluations.reference;
}

Evaluation Finetune::evaluate_now(const std::string& samples) {
  const Clock clock;
  const StateDict kept = policy_->trainable();
  const auto put_back = [&] {
    policy_->load_trainable(kept);
    policy_->refresh_rollout();
  };
  policy_->load_trainable(state_.average);
  policy_->refresh_rollout();
  progress_.begin("evaluation", evaluation_set_.size());
  Evaluation result;
  const auto work = [&] {
    result =
        evaluate(policy_->rollout(), *model_.path, eval_times_, evaluation_set_,
                 *reward_, [&](int64_t done) { progress_.update(done, ""); });
    result.kl = drift(policy_->training(), policy_->reference(), *model_.path,
                      eval_times_, evaluation_set_, options_.eval_drift_steps);
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
    put_back();
    throw;
  }
  progress_.end();
  put_back();
  result.pictures.epoch = state_.epoch;
  keep_evaluation(options_.folder, samples, reward_->main_metric(),
                  evaluation_set_, result);
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
