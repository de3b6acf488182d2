// The whole loop against one in Python, written after Flow-GRPO's release
// (TempFlow-GRPO: after arXiv 2604.17415): the same noise in, the same pictures
// and weights out.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/base/testing.h"
#include "rsm/data/prompts.h"
#include "rsm/estimators/advantages.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/objective/rows.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/optimizer_state.h"
#include "rsm/train/finetune.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

constexpr int64_t kEpochs = 2;

/** Small, and every part at work: updates go far enough for ratios to be
 * clipped. */
RunOptions twin_options(const std::string& folder,
                        std::vector<std::string> overrides) {
  overrides.push_back("folder=" + folder);
  return read_run_options(Config::parse(R"(name: twin
model: models/shapes-flow
prompts: {per_epoch: 4}
sampling: {steps: 5, guidance_scale: 2}
train:
  epochs: 2
  weight_decay: 0.01
  ema_decay: 0.5
  lora: {rank: 4, alpha: 8}
evaluation: {images: 6, every: 2, steps: 1}
checkpoint: {every: 1}
compute: {rollout_type: float32}
)",
                                        "twin.yaml", overrides));
}

/** What an epoch of a run draws and decides, for the twin to do the same. */
struct Epoch {
  StateDict noise;
  nlohmann::json settings;
  Rollout rollout;
  torch::Tensor rewards, advantages;
};

/** The pieces of a run, put together once more: an epoch does not show its
 * pictures, but they are counted, so they can be drawn again. */
class Observer {
 public:
  explicit Observer(const RunOptions& options)
      : options_(options),
        model_(ImageModel::load(options.model)),
        policy_(model_.network, model_.text->encode({""}), options.policy()),
        plan_(options.plan()),
        reward_(make_rewards(options.rewards, silent_)),
        prompts_(load_prompts(options.train_prompts)) {}

  /** `weights`: those before the epoch. */
  Epoch observe(int64_t epoch, const StateDict& weights) {
    policy_.load_trainable(weights);
    policy_.sample_with(Copy::training);
    const auto request = request_of(epoch);
    Epoch out;
    out.rollout =
        roll_out(policy_.copy(Copy::rollout), *model_.path, plan_, request);
    Prompts judged;
    for (const int64_t p : out.rollout.image_prompt) {
      judged.push_back(request.prompts[p]);
    }
    const auto scores =
        reward_->score(model_.decoder->decode(out.rollout.latents), judged);
    out.rewards = scores.value;
    const auto& method = options_.method;
    out.advantages =
        row_advantages(out.rollout, scores, method.estimator,
                       method.regularisation.advantage_clip, nullptr)
            .value;
    out.settings = {{"prompts", texts_of(request.prompts)},
                    {"updates", updates_of(epoch, out.rollout)}};
    add_noise(request, out.noise);
    return out;
  }

 private:
  RolloutRequest request_of(int64_t epoch) {
    RolloutRequest request;
    for (const int64_t i : epoch_prompts(options_.seed, epoch, prompts_,
                                         options_.prompts_per_epoch)) {
      request.prompts.push_back(prompts_[i]);
    }
    request.conditions =
        model_.text->encode(texts_of(request.prompts)).to(options_.device);
    request.members = options_.samples_per_prompt;
    request.run_seed = options_.seed;
    request.epoch = epoch;
    request.latent_shape = model_.latent_shape();
    return request;
  }

  /** The states (root, step) of each update. */
  nlohmann::json updates_of(int64_t epoch, const Rollout& rollout) const {
    const auto order =
        counted_permutation(counted_seed(options_.seed, Purpose::update_order,
                                         {static_cast<uint64_t>(epoch)}),
                            rollout.states());
    const auto count = static_cast<size_t>(options_.updates_per_epoch);
    nlohmann::json updates(count, nlohmann::json::array());
    for (size_t u = 0; u < count; ++u) {
      for (size_t i = order.size() * u / count;
           i < order.size() * (u + 1) / count; ++i) {
        updates[u].push_back(
            {rollout.state_root[order[i]], rollout.state_step[order[i]]});
      }
    }
    return updates;
  }

  /** "start.E" [roots,C,H,W]; "step.E.I" [roots,K,C,H,W]. */
  void add_noise(const RolloutRequest& request, StateDict& noise) const {
    std::vector<torch::Tensor> start;
    std::vector<std::vector<torch::Tensor>> steps(options_.steps);
    const auto epoch = static_cast<uint64_t>(request.epoch);
    for (const auto& prompt : request.prompts) {
      for (int64_t m = 0; m < request.members; ++m) {
        start.push_back(initial_noise(options_.seed, Purpose::initial_noise,
                                      request.epoch, prompt, m,
                                      request.latent_shape));
        for (int64_t i = 0; i < options_.steps; ++i) {
          for (int64_t k = 0; k < plan_.branches_at(i); ++k) {
            steps[i].push_back(counted_normal(
                counted_seed(
                    options_.seed, Purpose::step_noise,
                    {epoch, static_cast<uint64_t>(prompt.id),
                     static_cast<uint64_t>(m), static_cast<uint64_t>(i),
                     static_cast<uint64_t>(k)}),
                request.latent_shape));
          }
        }
      }
    }
    noise[cat("start.", epoch)] = at::cat(start);
    for (int64_t i = 0; i < options_.steps; ++i) {
      if (steps[i].empty()) continue;
      noise[cat("step.", epoch, ".", i)] = at::stack(steps[i]).unflatten(
          0, {static_cast<int64_t>(start.size()), -1});
    }
  }

  RunOptions options_;
  ImageModel model_;
  Policy policy_;
  RolloutPlan plan_;
  NoProgress silent_;
  std::unique_ptr<Reward> reward_;
  Prompts prompts_;
};

/** The newest checkpoint's tensors of a kind. */
StateDict saved(const std::string& folder, const std::string& kind) {
  return with_prefix(latest_checkpoint(folder).value().tensors, kind + ".");
}

double norm_of(const StateDict& tensors) {
  double square = 0;
  for (const auto& [name, tensor] : tensors) {
    square += tensor.square().sum().item<double>();
  }
  return std::sqrt(square);
}

StateDict difference(const StateDict& a, const StateDict& b) {
  StateDict out;
  for (const auto& [name, tensor] : a) {
    out[name] = tensor.to(at::kDouble) - b.at(name).to(at::kDouble);
  }
  return out;
}

double largest_gap(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/** A run's epochs, and what it had learnt after each. */
struct History {
  std::vector<Epoch> epochs;
  StateDict start;
  std::vector<StateDict> trained, average;
  double clipped = 0;  ///< share of rows, summed over epochs
  /** The least of an epoch's mean gradient norm, before it is cut. */
  double grad_norm = std::numeric_limits<double>::infinity();
};

nlohmann::json settings_of(const RunOptions& options) {
  const auto plan = options.plan();
  nlohmann::json out = {{"method", options.method.name},
                        {"as_published", options.method.as_published},
                        {"model", options.model},
                        {"guidance", options.guidance_scale},
                        {"max_grad_norm", options.max_grad_norm},
                        {"ema_decay", options.ema_decay},
                        {"adamw",
                         {{"lr", options.lr},
                          {"betas", {options.adam_beta1, options.adam_beta2}},
                          {"eps", options.adam_eps},
                          {"weight_decay", options.weight_decay}}},
                        {"lora", nullptr}};
  if (options.lora) {
    out["lora"] = {{"rank", options.lora_config.rank},
                   {"alpha", options.lora_config.alpha}};
  }
  for (int64_t i = 0; i < options.steps; ++i) {
    out["branches"].push_back(plan.branches_at(i));
  }
  return out;
}

/** Trains; writes to the run's folder what the twin asks for. */
History trained(const RunOptions& options) {
  NoProgress silent;
  Finetune finetune(options, silent);
  Observer observer(options);
  History run;
  run.start = saved(options.folder, "trained");
  auto settings = settings_of(options);
  StateDict noise;
  for (int64_t e = 0; e < kEpochs; ++e) {
    run.epochs.push_back(observer.observe(e, saved(options.folder, "trained")));
    const auto& epoch = run.epochs.back();
    settings["epochs"].push_back(epoch.settings);
    noise.insert(epoch.noise.begin(), epoch.noise.end());
    const auto line = finetune.run_epoch();
    // What was observed is what was trained on.
    EXPECT_EQ(line.at("reward"),
              epoch.rewards.to(at::kDouble).mean().item<double>());
    EXPECT_EQ(line.at("updates"), (e + 1) * options.updates_per_epoch);
    run.clipped += line.at("clip_fraction").get<double>();
    run.grad_norm = std::min(run.grad_norm, line.at("grad_norm").get<double>());
    run.trained.push_back(saved(options.folder, "trained"));
    run.average.push_back(saved(options.folder, "average"));
  }
  write_file_atomic(options.folder + "/settings.json", settings.dump());
  write_safetensors(options.folder + "/noise.safetensors", noise);
  write_safetensors(options.folder + "/start.safetensors", run.start);
  return run;
}

/** How far a twin may be: it computes in double, the run in float32. */
struct Tolerance {
  double pictures;  ///< largest difference of pictures in [-1,1]
  double weights;   ///< norm of the difference over that of all change so far
};

/** What a step of AdamW loses of a weight: half a unit of float32. */
constexpr double kRounding = 6e-8;

void expect_twins(const History& run, const std::string& folder,
                  const Tolerance& allowed) {
  const auto twin = read_safetensors(folder + "/peer.safetensors").tensors;
  for (int64_t e = 0; e < kEpochs; ++e) {
    SCOPED_TRACE(cat(folder, ", epoch ", e + 1));
    const auto& epoch = run.epochs[e];
    const auto of_twin = [&](const std::string& kind) {
      return with_prefix(twin, cat(kind, ".", e, "."));
    };
    EXPECT_LT(largest_gap(twin.at(cat("pictures.", e)), epoch.rollout.latents),
              allowed.pictures);
    // The checker's verdicts are few numbers: rounding changes none.
    EXPECT_LT(largest_gap(twin.at(cat("rewards.", e)), epoch.rewards), 1e-6);
    EXPECT_LT(largest_gap(twin.at(cat("advantages.", e)), epoch.advantages),
              1e-6);
    const auto weights = of_twin("trained");
    ASSERT_EQ(weights.size(), run.start.size());
    const double change = norm_of(difference(weights, run.start));
    const double gap = norm_of(difference(weights, run.trained[e]));
    const size_t updates = (e + 1) * epoch.settings.at("updates").size();
    const double most =
        allowed.weights * change +
        kRounding * static_cast<double>(updates) * norm_of(weights);
    EXPECT_LT(gap, most);
    EXPECT_LT(gap, 1e-5 * norm_of(weights));
    // The average at half weights shows each update, also an epoch's first.
    EXPECT_LT(norm_of(difference(of_twin("average"), run.average[e])), most);
    const std::string run_name = std::filesystem::path(folder).filename();
    testing::Test::RecordProperty(cat(run_name, "_gap_over_change_", e),
                                  cat(gap / change));
  }
}

class TwinOn : public OnDevice {
 protected:
  /** A GPU multiplies in another order, and convolves in TF32. */
  Tolerance tolerance() const {
    return device().is_cpu() ? Tolerance{1e-4, 3e-5} : Tolerance{1e-2, 1e-2};
  }

  /** Two epochs as rsm corrects the method, in one update each, whose gradient
   * is not cut; and two as it was published, in two each, where it is. Cut, a
   * gradient's length is lost, and with it a factor common to all rows.
   * adam_eps is above the size of its elements, or AdamW's first steps would be
   * their signs: without length, and also of those that are rounding alone. */
  void expect_twins_of(const std::vector<std::string>& settings) const {
    struct Form {
      std::string name;
      std::vector<std::string> settings;
    };
    const std::vector<Form> forms = {
        {"corrected",
         {"method.as_published=false", "train.updates_per_epoch=1",
          "train.max_grad_norm=1e9", "train.adam_eps=1e-3"}},
        {"published",
         {"method.as_published=true", "train.updates_per_epoch=2",
          "train.max_grad_norm=1e-3", "train.adam_eps=1e-5"}}};
    const TemporaryFolder folder;
    std::vector<History> runs;
    std::vector<std::string> folders;
    for (const auto& form : forms) {
      auto all = on_device(settings);
      all.insert(all.end(), form.settings.begin(), form.settings.end());
      folders.push_back(folder / form.name);
      runs.push_back(trained(twin_options(folders.back(), all)));
    }
    // Clipping, of rows and of the gradient, is part of what is compared.
    EXPECT_GT(runs[1].clipped, 0);
    EXPECT_GT(runs[1].grad_norm, 1e-3);
    run_python("flow_grpo_peer.py", join(folders, " "));
    for (size_t i = 0; i < runs.size(); ++i) {
      expect_twins(runs[i], folders[i], tolerance());
    }
  }
};
RSM_ON_EVERY_DEVICE(TwinOn);

TEST_P(TwinOn, TempFlowGrpoTrainsALoraAsItsTrainerDoes) {
  expect_twins_of(
      {"method={name: tempflow-grpo, "
       "estimator: {branches: [4, 0, 3, 0]}}",
       "prompts.per_epoch=3", "sampling.steps=4", "train.weights=lora",
       cat("train.lora.targets=[", join(kSd3LoraTargets), "]"),
       "train.lr=0.01"});
}

TEST_P(TwinOn, FlowGrpoTrainsAllWeightsAsItsTrainerDoes) {
  expect_twins_of({"method.name=flow-grpo", "prompts.samples_per_prompt=4",
                   "train.weights=full", "train.lr=0.002"});
}

}  // namespace
}  // namespace rsm
