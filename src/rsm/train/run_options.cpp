#include "rsm/train/run_options.h"

#include <thread>

#include "rsm/base/error.h"
#include "rsm/methods/check_method.h"
#include "rsm/methods/method_config.h"
#include "rsm/methods/names.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

constexpr double kSmallest = 1e-6;  // of numbers that must be above 0

torch::Device read_device(const Config& section) {
  const std::string name = section.text("device", "cpu");
  try {
    return device_named(name);
  } catch (const UsageError& error) {
    throw section.error("device", error.what());
  }
}

torch::ScalarType parse_type(const Config& section, const std::string& key,
                             const std::string& fallback) {
  return type_named(section.choice(key, fallback, type_names()));
}

void read_prompts(const Config& section, RunOptions& o) {
  o.train_prompts = section.text("train", o.train_prompts);
  o.prompts_per_epoch =
      section.integer("per_epoch", o.prompts_per_epoch, 1, 1000000);
  o.samples_per_prompt =
      section.integer("samples_per_prompt", o.samples_per_prompt, 1, 100000);
}

RewardSpec read_reward(const Config& section) {
  RewardSpec spec;
  spec.name = section.text("name");
  spec.weight = section.real("weight", spec.weight);
  spec.timeout_seconds =
      section.real("timeout_seconds", spec.timeout_seconds, 1e-3);
  spec.batch = section.integer("batch", spec.batch, 1);
  spec.retries = section.integer("retries", spec.retries, 0, 100);
  spec.requests = section.integer("requests", spec.requests, 1, 1024);
  return spec;
}

/** `reward: NAME`, or `rewards:` with a list of sections. */
void read_rewards(const Config& config, RunOptions& o) {
  if (!config.has("rewards")) {
    RewardSpec spec;
    spec.name = config.text("reward", "shapes");
    o.rewards = {spec};
    return;
  }
  if (config.has("reward")) {
    throw config.error("reward", "stands beside `rewards`; give one of them");
  }
  bool trained = false;
  for (const auto& section : config.sections("rewards")) {
    o.rewards.push_back(read_reward(section));
    trained = trained || o.rewards.back().weight != 0;
  }
  if (!trained) {
    throw config.error("rewards",
                       "no reward has a weight other than 0, so nothing would "
                       "be trained; weight 0 only logs");
  }
}

/** The noise of stochastic steps: by default what the method's entry names, at
 * the level that is usual for it. The method then says what is used. */
void read_noise(const Config& section, Path::Family family, RunOptions& o) {
  auto& kind = o.method.estimator.noise;
  kind = parse<SamplerNoise>(
      section.choice("sampler", to_string(kind), words<SamplerNoise>()));
  o.noise.kind = kind;
  o.noise.level =
      section.real("noise_level", usual_level(kind, family), kSmallest, 10);
  if (kind == SamplerNoise::even_weight) {
    o.noise.weight = section.real("even_weight", o.noise.weight, 1 + kSmallest);
  }
}

/** Throws UsageError where the family has no such step, or no such plan can be
 * drawn. */
void check_sampling(const Path& path, const Config& section,
                    const RunOptions& o) {
  try {
    path.noisy_step(path.times(o.steps), 0, o.noise);
  } catch (const UsageError&) {
    throw;
  } catch (const Error& wrong) {
    throw section.error("noise_level", wrong.what());
  }
  try {
    o.plan();
  } catch (const Error& wrong) {
    throw UsageError(wrong.what());
  }
}

void read_sampling(const Config& section, RunOptions& o) {
  o.continuation_steps = section.integer("continuation_steps", 0, 0, 1000);
  o.guidance_scale = section.real("guidance_scale", o.guidance_scale, 0, 100);
  const std::string sharing =
      section.choice("share", "all", {"all", "sampling", "none"});
  o.sharing = sharing == "all"        ? Sharing::all
              : sharing == "sampling" ? Sharing::sampling
                                      : Sharing::none;
}

/** A list of endings, or the one word for all linear layers. */
std::vector<std::string> read_targets(const Config& section,
                                      Path::Family family) {
  if (!section.is_scalar("targets")) {
    return section.texts("targets", family == Path::Family::flow
                                        ? kSd3LoraTargets
                                        : kUnetLoraTargets);
  }
  const std::string word = section.text("targets");
  if (word != kAllLinear) {
    throw section.error("targets", cat("\"", word, "\"; ", kAllLinear,
                                       " or a list of endings of layer names "
                                       "is needed, such as [to_q, to_v]"));
  }
  return {word};
}

LoraConfig read_lora(const Config& section, Path::Family family) {
  LoraConfig lora;
  lora.rank = section.integer("rank", lora.rank, 1, 4096);
  lora.alpha = section.real("alpha", lora.alpha, 1e-6);
  lora.targets = read_targets(section, family);
  lora.exclude = section.texts("exclude", lora.exclude);
  try {
    lora.check();
  } catch (const Error& wrong) {
    throw section.error("targets", wrong.what());
  }
  return lora;
}

void read_training(const Config& section, Path::Family family, RunOptions& o) {
  o.lora = section.choice("weights", "lora", {"lora", "full"}) == "lora";
  o.lora_config = read_lora(section.section("lora"), family);
  o.epochs = section.integer("epochs", o.epochs, 0);
  o.max_minutes = section.real("max_minutes", o.max_minutes, 0);
  o.max_images = section.integer("max_images", o.max_images, 0);
  o.updates_per_epoch =
      section.integer("updates_per_epoch", o.updates_per_epoch, 1, 1000);
  o.lr = section.real("lr", o.lr, 0);
  o.lr_decay = section.choice("lr_schedule", "constant",
                              {"constant", "linear"}) == "linear";
  o.adam_beta1 = section.real("adam_beta1", o.adam_beta1, 0, 1);
  o.adam_beta2 = section.real("adam_beta2", o.adam_beta2, 0, 1);
  o.adam_eps = section.real("adam_eps", o.adam_eps, 0);
  o.weight_decay = section.real("weight_decay", o.weight_decay, 0);
  o.max_grad_norm = section.real("max_grad_norm", o.max_grad_norm, 1e-12);
  o.ema_decay = section.real("ema_decay", o.ema_decay, 0, 1);
  o.ema_every = section.integer("ema_every", o.ema_every, 1);
  o.ema_warmup = section.flag("ema_warmup", o.ema_warmup);
}

void read_evaluation(const Config& section, RunOptions& o) {
  o.eval_prompts = section.text("prompts", o.eval_prompts);
  o.eval_images = section.integer("images", o.eval_images, 1);
  o.eval_every = section.integer("every", o.eval_every, 1);
  o.eval_minutes = section.real("every_minutes", o.eval_minutes, 0);
  o.eval_steps = section.integer("steps", o.eval_steps, 1, 1000);
  o.eval_drift_steps =
      section.integer("drift_steps", o.eval_drift_steps, 0, 1000);
}

void read_compute(const Config& section, RunOptions& o) {
  o.device = read_device(section);
  o.rollout_type = parse_type(section, "rollout_type", "bfloat16");
  o.tiles.tile = section.integer("tile", o.tiles.tile, 1, 65536);
  o.tiles.micro_batch =
      section.integer("micro_batch", o.tiles.micro_batch, 0, 65536);
  const auto cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  const bool cpu = o.device.is_cpu();
  o.tiles.workers = section.integer(
      "threads", cpu ? std::max<int64_t>(cores, 1) : 1, 1, 1024);
}

}  // namespace

PolicyOptions RunOptions::policy() const {
  PolicyOptions p;
  if (lora) {
    p.lora = lora_config;
  }
  p.seed = seed;
  p.guidance_scale = guidance_scale;
  p.rollout_type = rollout_type;
  p.device = device;
  p.tiles = tiles;
  return p;
}

RolloutPlan RunOptions::plan() const {
  return make_plan(method, steps, noise, continuation_steps, sharing);
}

RunOptions read_run_options(const Config& config) {
  RunOptions o;
  o.name = config.text("name");
  o.folder = config.text("folder", "runs/" + o.name);
  o.model = config.text("model");
  o.seed = static_cast<uint64_t>(config.integer("seed", 42, 0));
  read_rewards(config, o);
  const auto path = load_path(o.model);
  const auto family = path->family();
  const auto sampling = config.section("sampling");
  o.steps = sampling.integer("steps", o.steps, 2, 1000);
  o.method =
      read_method(config.section("method"), o.steps,
                  family == Path::Family::flow ? Method::Family::flow
                                               : Method::Family::diffusion);
  o.label = config.text("label", o.method.name);
  read_prompts(config.section("prompts"), o);
  read_noise(sampling, family, o);
  read_sampling(sampling, o);
  read_training(config.section("train"), family, o);
  read_evaluation(config.section("evaluation"), o);
  o.checkpoint_every =
      config.section("checkpoint").integer("every", o.checkpoint_every, 1);
  read_compute(config.section("compute"), o);
  config.done();
  check_method(o.method, o.steps);
  check_sampling(*path, sampling, o);
  const auto& estimator = o.method.estimator;
  if (estimator.source == EstimatorKnobs::Source::rollout &&
      estimator.grouping != EstimatorKnobs::Grouping::batch &&
      estimator.baseline != EstimatorKnobs::Baseline::running &&
      estimator.baseline != EstimatorKnobs::Baseline::none &&
      o.samples_per_prompt < 2) {
    throw config.section("prompts").error(
        "samples_per_prompt",
        "1 sample of each prompt has nothing to be compared with; a method of "
        "stochastic paths needs at least 2, say 16");
  }
  o.resolved = config.resolved();
  return o;
}

}  // namespace rsm
