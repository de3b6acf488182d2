#include "rsm/train/finetune.h"

#include <algorithm>
#include <cmath>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/data/prompts.h"
#include "rsm/estimators/pruning.h"
#include "rsm/io/run_log.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/weighted_reward.h"
#include "rsm/train/clock.h"
#include "rsm/train/collector.h"
#include "rsm/train/epoch_data.h"
#include "rsm/train/even_output.h"
#include "rsm/train/forecast.h"
#include "rsm/train/pending_rollout.h"
#include "rsm/train/run_folder.h"
#include "rsm/train/samples.h"

namespace rsm {

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
  for (const auto& warning : options_.warnings) {
    progress_.say("warning: " + warning);
  }
  start_or_continue();
}

Finetune::~Finetune() = default;

Condition Finetune::conditions_of(const Prompts& prompts) {
  return model_.encode(texts_of(prompts)).to(options_.device);
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
  EpochData data = sample();
  compare(data);
  weigh(data);
  update(data);
  const double lr = learning_rate();
  const double before = state_.spent.train_seconds;
  ++state_.epoch;
  state_.spent.train_seconds += clock.seconds();
  state_.spent.wall_seconds += clock.seconds();
  nlohmann::json line = log_line(data);
  line["epoch"] = state_.epoch;
  line["images"] = state_.spent.images;
  line["evals"] = state_.spent.evaluations;
  line["updates"] = state_.spent.updates;
  line["train_s"] = state_.spent.train_seconds;
  line["lr"] = lr;
  line["peak_memory_mb"] = peak_memory_mb();
  if (evaluation_is_due(before)) {
    add_evaluation(line, evaluate_now("after"));
  }
  line["wall_s"] = state_.spent.wall_seconds;
  log_->append(line);
  if (state_.epoch % options_.checkpoint_every == 0 || finished()) {
    save();
  }
  return line;
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
    name_dead_groups(data, reward_->name());
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
  data.kl_states = options_.method.regularisation.beta > 0 || even
                       ? data.trained
                       : spread_out(data.trained, kWatchedStates);
  data.y_ref =
      outputs(policy_->reference(), data.kl_states, data.evaluations.reference);
  if (even) {
    data.output_map = OutputMap(rollout, options_.device);
    if (!policy_->rollout_is_training()) {
      data.y_old = data.output_map.forward(data.y_old, data.y_ref);
    }
  }
  measure_states(options_.method, data);
  data.seconds.old = clock.seconds();
  state_.spent.evaluations += data.evaluations.old + data.evaluations.reference;
}

void Finetune::update(EpochData& data) {
  const Clock clock;
  const auto order =
      counted_permutation(counted_seed(options_.seed, Purpose::update_order,
                                       {static_cast<uint64_t>(state_.epoch)}),
                          static_cast<int64_t>(data.trained.size()));
  const auto count = static_cast<size_t>(options_.updates_per_epoch);
  for (size_t u = 0; u < count; ++u) {
    std::vector<int64_t> states;
    for (size_t i = order.size() * u / count;
         i < order.size() * (u + 1) / count; ++i) {
      states.push_back(data.trained[order[i]]);
    }
    one_update(data, states, u == 0);
  }
  policy_->refresh_rollout();
  data.seconds.update = clock.seconds();
}

void Finetune::one_update(EpochData& data, const std::vector<int64_t>& states,
                          bool first) {
  const auto weights =
      update_weights(options_.method, data.rollout, data.advantages, states);
  const auto used = states_that_matter(data, weights, states);
  if (used.empty()) {
    return;
  }
  const auto index = torch::tensor(used, at::kLong).to(options_.device);
  UpdateRecorder recorder(data, used);
  auto gradients = policy_->trained_network().gradients(
      data.rollout.x.index_select(0, index), data.t.index_select(0, index),
      data.conditions.select(data.prompt.index_select(0, index)),
      policy_->parameters(),
      [&](int64_t begin, int64_t count, const torch::Tensor& y) {
        const std::vector<int64_t> part(used.begin() + begin,
                                        used.begin() + begin + count);
        auto terms = loss_terms(options_.method, data.rollout, data.y_old,
                                data.advantages, weights, part);
        const auto index = torch::tensor(part, at::kLong).to(y.device());
        terms.states.y_ref = data.y_ref.index_select(0, index);
        const auto map = data.output_map.select(index);
        const auto output = map.forward(y, terms.states.y_ref);
        auto result = rsm_loss(output, terms.states, terms.rows);
        if (first) {
          check_first_step(result.rows, output, terms.states);
        }
        const auto gradient = map.backward(result.gradient);
        recorder.record(part, std::move(result));
        return gradient;
      });
  recorder.finish();
  data.evaluations.update += static_cast<int64_t>(used.size());
  state_.spent.evaluations += static_cast<int64_t>(used.size());
  optimiser_step(data, std::move(gradients));
}

std::vector<int64_t> Finetune::states_that_matter(
    const EpochData& data, const UpdateWeights& weights,
    const std::vector<int64_t>& states) const {
  std::vector<char> matters(data.rollout.states(), 0);
  const auto advantage = data.advantages.value.to(at::kCPU).contiguous();
  const float* a = advantage.const_data_ptr<float>();
  for (int64_t r = 0; r < data.rollout.rows(); ++r) {
    if (weights.row[r] > 0 && a[r] != 0) {
      matters[data.rollout.row_state[r]] = 1;
    }
  }
  std::vector<int64_t> used;
  for (const int64_t s : states) {
    if (matters[s] != 0 || weights.k_ref[s] > 0) {
      used.push_back(s);
    }
  }
  return used;
}

void Finetune::optimiser_step(EpochData& data,
                              std::vector<torch::Tensor> gradients) {
  const torch::NoGradGuard no_grad;
  double square = 0;
  for (const auto& g : gradients) {
    square += g.to(at::kDouble).square().sum().item<double>();
  }
  const double norm = std::sqrt(square);
  RSM_CHECK(std::isfinite(norm),
            "[finetune] the gradient is not finite in "
            "epoch ",
            state_.epoch + 1, "; the weights before it are in ",
            options_.folder, "/checkpoints; lower train.lr");
  data.grad_norms.push_back(norm);
  const double factor = std::min(1.0, options_.max_grad_norm / (norm + 1e-6));
  const auto& parameters = policy_->parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    parameters[i].mutable_grad() = gradients[i] * factor;
  }
  static_cast<torch::optim::AdamWOptions&>(
      optimiser_->param_groups()[0].options())
      .lr(learning_rate());
  optimiser_->step();
  optimiser_->zero_grad();
  ++state_.spent.updates;
  if (state_.spent.updates % options_.ema_every == 0) {
    update_average();
  }
}

void Finetune::update_average() {
  const auto n = static_cast<double>(state_.spent.updates);
  const double decay = options_.ema_warmup
                           ? std::min(options_.ema_decay, (1 + n) / (10 + n))
                           : options_.ema_decay;
  for (size_t i = 0; i < policy_->names().size(); ++i) {
    state_.average.at(policy_->names()[i])
        .lerp_(policy_->parameters()[i].detach(), 1 - decay);
  }
}

Evaluation Finetune::evaluate_now(const std::string& samples) {
  const Clock clock;
  const StateDict kept = policy_->trainable();
  policy_->load_trainable(state_.average);
  policy_->refresh_rollout();
  progress_.begin("evaluation", evaluation_set_.size());
  auto result =
      evaluate(policy_->rollout(), *model_.path, eval_times_, evaluation_set_,
               *reward_, [&](int64_t done) { progress_.update(done, ""); });
  result.kl = drift(policy_->training(), policy_->reference(), *model_.path,
                    eval_times_, evaluation_set_, options_.eval_drift_steps);
  progress_.end();
  policy_->load_trainable(kept);
  policy_->refresh_rollout();
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
