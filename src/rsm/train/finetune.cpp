#include "rsm/train/finetune.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/data/prompts.h"
#include "rsm/io/files.h"
#include "rsm/io/run_log.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/train/clock.h"
#include "rsm/train/epoch_data.h"
#include "rsm/train/forecast.h"
#include "rsm/train/run_folder.h"

namespace rsm {

namespace fs = std::filesystem;

Finetune::Finetune(const RunOptions& options, Progress& progress)
    : options_(options),
      progress_(progress),
      model_(FlowModel::load(options.model)),
      policy_(std::make_unique<Policy>(model_, options.policy())),
      reward_(make_reward(options.reward)),
      train_prompts_(load_prompts(options.train_prompts)),
      times_(model_.schedule.times(options.steps)),
      eval_times_(model_.schedule.times(options.eval_steps)),
      plan_(options.plan()),
      transitions_(flow_sde_transitions(times_, options.noise_level)) {
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

void Finetune::start_or_continue() {
  fs::create_directories(options_.folder);
  check_same_run(options_);
  std::vector<std::string> damaged;
  const auto checkpoint = latest_checkpoint(options_.folder, damaged);
  for (const auto& text : damaged) {
    progress_.say("warning: passing over a damaged checkpoint, " + text);
  }
  RunLog log(options_.folder + "/log.jsonl");
  write_file_atomic(options_.folder + "/config.yaml", options_.resolved);
  if (checkpoint) {
    state_ = from_checkpoint(*checkpoint, *policy_, *optimiser_, progress_);
    log.truncate_after(state_.epoch);
    progress_.say(
        cat("continuing ", options_.folder, " after epoch ", state_.epoch));
    return;
  }
  log.truncate_after(-1);
  write_description(options_, transitions_, train_prompts_, evaluation_set_,
                    *reward_, false);
  nlohmann::json line = {{"epoch", 0}, {"images", 0}, {"evals", 0}};
  const auto before = evaluate_now("before");
  line["wall_s"] = state_.spent.wall_seconds;
  line["train_s"] = 0.0;
  add_evaluation(line, before);
  log.append(line);
  save();
}

void Finetune::save() {
  save_checkpoint(options_.folder,
                  to_checkpoint(state_, *policy_, *optimiser_));
}

nlohmann::json Finetune::run_epoch() {
  const Clock clock;
  EpochData data = sample();
  judge(data);
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
  RunLog(options_.folder + "/log.jsonl").append(line);
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
  EpochData data;
  const Clock clock;
  const auto chosen = epoch_prompts(options_.seed, state_.epoch, train_prompts_,
                                    options_.prompts_per_epoch);
  RolloutRequest request;
  for (const int64_t i : chosen) {
    request.prompts.push_back(train_prompts_[i]);
  }
  const auto index = torch::tensor(chosen, at::kLong).to(options_.device);
  request.conditions = train_conditions_.select(index);
  request.members = options_.samples_per_prompt;
  request.run_seed = options_.seed;
  request.epoch = state_.epoch;
  request.latent_shape = model_.latent_shape();
  const int64_t roots = options_.prompts_per_epoch * request.members;
  progress_.begin(cat("epoch ", state_.epoch + 1, " rollout"),
                  roots * plan_.evaluations_per_root());
  data.rollout = roll_out(policy_->rollout(), model_.schedule, plan_, request,
                          [&](int64_t done) { progress_.update(done, ""); });
  progress_.end();
  data.conditions = request.conditions;
  data.evaluations.rollout = data.rollout.evaluations;
  data.seconds.rollout = clock.seconds();
  state_.spent.images += data.rollout.images();
  state_.spent.evaluations += data.rollout.evaluations;
  return data;
}

void Finetune::judge(EpochData& data) {
  const Clock clock;
  Prompts prompts;
  for (const int64_t p : data.rollout.image_prompt) {
    prompts.push_back(data.rollout.prompts[p]);
  }
  data.scores =
      reward_->score(to_images(data.rollout.latents).to(at::kCPU), prompts);
  check_scores(data.scores, data.rollout.images(), reward_->name());
  data.advantages =
      row_advantages(data.rollout, data.scores.value, options_.method.estimator,
                     options_.method.regularisation.advantage_clip);
  name_dead_groups(data);
  data.seconds.reward = clock.seconds();
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
  const auto predict = [&](Denoiser& denoiser,
                           const std::vector<int64_t>& states, int64_t& count) {
    const auto index = torch::tensor(states, at::kLong).to(options_.device);
    count += static_cast<int64_t>(states.size());
    return denoiser.predict(
        rollout.x.index_select(0, index), data.t.index_select(0, index),
        data.conditions.select(data.prompt.index_select(0, index)));
  };
  std::vector<int64_t> all(rollout.states());
  for (int64_t s = 0; s < rollout.states(); ++s) {
    all[s] = s;
  }
  data.y_old = policy_->rollout_is_training()
                   ? rollout.y
                   : predict(policy_->training(), all, data.evaluations.old);
  data.kl_states = options_.method.regularisation.beta > 0
                       ? all
                       : spread_out(all, kWatchedStates);
  const auto y_ref =
      predict(policy_->reference(), data.kl_states, data.evaluations.reference);
  data.y_ref = at::zeros_like(data.y_old);
  data.y_ref.index_copy_(
      0, torch::tensor(data.kl_states, at::kLong).to(options_.device), y_ref);
  measure_states(options_.method, data);
  data.seconds.old = clock.seconds();
  state_.spent.evaluations += data.evaluations.old + data.evaluations.reference;
}

void Finetune::update(EpochData& data) {
  const Clock clock;
  const auto order =
      counted_permutation(counted_seed(options_.seed, Purpose::update_order,
                                       {static_cast<uint64_t>(state_.epoch)}),
                          data.rollout.states());
  const auto count = static_cast<size_t>(options_.updates_per_epoch);
  for (size_t u = 0; u < count; ++u) {
    const std::vector<int64_t> states(
        order.begin() + order.size() * u / count,
        order.begin() + order.size() * (u + 1) / count);
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
  auto gradients = policy_->trained_flow().gradients(
      data.rollout.x.index_select(0, index), data.t.index_select(0, index),
      data.conditions.select(data.prompt.index_select(0, index)),
      policy_->parameters(),
      [&](int64_t begin, int64_t count, const torch::Tensor& y) {
        const std::vector<int64_t> part(used.begin() + begin,
                                        used.begin() + begin + count);
        auto terms = loss_terms(options_.method, data.rollout, data.y_old,
                                data.advantages, weights, part);
        terms.states.y_ref = data.y_ref.index_select(
            0, torch::tensor(part, at::kLong).to(y.device()));
        auto result = rsm_loss(y, terms.states, terms.rows);
        if (first) {
          check_first_step(result.rows, y, terms.states);
        }
        const auto gradient = result.gradient;
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
  for (size_t i = 0; i < parameters.size(); ++i) {
    state_.average.at(policy_->names()[i])
        .lerp_(parameters[i].detach(), 1 - options_.ema_decay);
  }
}

Evaluation Finetune::evaluate_now(const std::string& samples) {
  const Clock clock;
  const StateDict kept = policy_->trainable();
  policy_->load_trainable(state_.average);
  policy_->refresh_rollout();
  progress_.begin("evaluation", evaluation_set_.size());
  auto result =
      evaluate(policy_->rollout(), eval_times_, evaluation_set_, *reward_,
               [&](int64_t done) { progress_.update(done, ""); });
  result.kl = drift(policy_->training(), policy_->reference(), eval_times_,
                    options_.noise_level, evaluation_set_);
  progress_.end();
  policy_->load_trainable(kept);
  policy_->refresh_rollout();
  write_samples(options_.folder, samples, reward_->main_metric(),
                evaluation_set_, result);
  state_.spent.wall_seconds += clock.seconds();
  return result;
}

void Finetune::add_evaluation(nlohmann::json& line,
                              const Evaluation& evaluation) const {
  line["eval"] = to_json(evaluation);
  line["eval_reward"] = evaluation.means.at("reward");
}

void Finetune::finish() {
  write_final(options_, model_, state_.average);
  write_description(options_, transitions_, train_prompts_, evaluation_set_,
                    *reward_, true);
}

}  // namespace rsm
