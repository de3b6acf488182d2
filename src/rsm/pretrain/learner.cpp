#include "rsm/pretrain/learner.h"

#include <torch/nn/utils/clip_grad.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/runs/optimizer_state.h"

namespace rsm {
namespace {

constexpr double kMuonMomentum = 0.95;
constexpr double kGradientClip = 1.0;

}  // namespace

double learning_rate_factor(const LearningOptions& options, int64_t seen) {
  const double up = options.warmup > 0
                        ? static_cast<double>(seen + options.batch) /
                              static_cast<double>(options.warmup)
                        : 1.0;
  const double left = static_cast<double>(options.images - seen) /
                      (options.cooldown * static_cast<double>(options.images));
  return std::clamp(std::min(up, left), 0.0, 1.0);
}

Learner::Learner(const LearningOptions& options, Parameters parameters,
                 const std::function<bool(const std::string&,
                                          const torch::Tensor&)>& is_hidden)
    : options_(options), parameters_(std::move(parameters)) {
  Parameters hidden;
  std::vector<torch::Tensor> others;
  for (const auto& [name, p] : parameters_) {
    average_[name] = p.detach().clone();
    if (is_hidden(name, p)) {
      hidden[name] = p;
    } else {
      others.push_back(p);
      adamw_names_.push_back(name);
    }
  }
  muon_ = std::make_unique<Muon>(hidden, kMuonMomentum);
  adamw_ = std::make_unique<torch::optim::AdamW>(
      others, torch::optim::AdamWOptions(options.adamw_lr)
                  .weight_decay(0.0)
                  .betas({0.9, 0.99}));
}

bool Learner::train(const std::function<torch::Tensor(int64_t first)>& loss,
                    const std::function<void()>& saved, Progress& progress) {
  if (is_there(checkpoint())) {
    load();
    progress.say(cat("continuing after ", seen_, " images"));
  }
  progress.begin("pretrain", options_.images);
  double loss_sum = 0;
  int64_t steps = 0;
  int64_t kept = seen_;
  while (seen_ < options_.images) {
    const auto value = loss(seen_);
    loss_sum += value.item<double>();
    step(value);
    ++steps;
    progress.update(seen_, cat("loss ", loss_sum / steps));
    const bool stopping = progress.stopping();
    if (stopping || seen_ - kept >= options_.save_every) {
      save();
      saved();
      progress.say(cat(seen_, " images, loss ", loss_sum / steps));
      kept = seen_;
      loss_sum = 0;
      steps = 0;
    }
    if (stopping) {
      progress.end();
      return false;
    }
  }
  save();
  progress.end();
  return true;
}

void Learner::step(const torch::Tensor& loss) {
  RSM_CHECK(std::isfinite(loss.item<double>()),
            "[pretrain] the loss is not finite after ", seen_,
            " images; lower train.muon_lr or train.adamw_lr");
  loss.backward();
  std::vector<torch::Tensor> others;
  for (const auto& name : adamw_names_) {
    others.push_back(parameters_.at(name));
  }
  torch::nn::utils::clip_grad_norm_(others, kGradientClip);
  const double factor = learning_rate_factor(options_, seen_);
  static_cast<torch::optim::AdamWOptions&>(adamw_->param_groups()[0].options())
      .lr(options_.adamw_lr * factor);
  adamw_->step();
  muon_->step(options_.muon_lr * factor);
  seen_ += options_.batch;
  // A young average forgets its random start quickly.
  const double steps = static_cast<double>(seen_) / options_.batch;
  const double decay = std::min(options_.ema, (1 + steps) / (10 + steps));
  const torch::NoGradGuard no_grad;
  for (auto& [name, p] : parameters_) {
    average_.at(name).lerp_(p, 1 - decay);
    p.mutable_grad().reset();
  }
}

void Learner::with_averages(const std::function<void()>& use) {
  const torch::NoGradGuard no_grad;
  StateDict kept;
  for (const auto& [name, p] : parameters_) {
    kept[name] = p.detach().clone();
    p.detach().copy_(average_.at(name));
  }
  use();
  for (const auto& [name, p] : parameters_) {
    p.detach().copy_(kept.at(name));
  }
}

std::string Learner::checkpoint() const {
  return options_.run_folder + "/checkpoint.safetensors";
}

void Learner::save() {
  StateDict all;
  add_with_prefix(all, "average.", average_);
  add_with_prefix(all, "muon.", muon_->state());
  add_with_prefix(all, "adamw.", adamw_state(*adamw_, adamw_names_));
  for (const auto& [name, p] : parameters_) {
    all["model." + name] = p.detach();
  }
  write_safetensors(checkpoint(), all, {{"seen", std::to_string(seen_)}});
}

void Learner::load() {
  const torch::NoGradGuard no_grad;
  const auto file = view_safetensors(checkpoint());
  for (auto& [name, p] : parameters_) {
    const auto found = file.tensors.find("model." + name);
    RSM_CHECK(found != file.tensors.end() && found->second.sizes() == p.sizes(),
              "[pretrain] ", checkpoint(), " does not fit the config (", name,
              "); remove the run folder to start anew");
    p.copy_(found->second);
    average_.at(name).copy_(file.tensors.at("average." + name));
  }
  muon_->load_state(with_prefix(file.tensors, "muon."));
  load_adamw_state(*adamw_, adamw_names_, with_prefix(file.tensors, "adamw."));
  seen_ = std::stoll(file.metadata.at("seen"));
}

}  // namespace rsm
