#include "rsm/runs/run_options.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "rsm/base/error.h"
#include "rsm/methods/check_method.h"
#include "rsm/methods/method_config.h"
#include "rsm/methods/names.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/runs/average.h"
#include "rsm/runs/evaluation_options.h"
#include "rsm/runs/lora_options.h"
#include "rsm/runs/machine.h"
#include "rsm/runs/memory_plan.h"
#include "rsm/runs/noise_options.h"
#include "rsm/runs/reward_options.h"
#include "rsm/runs/solver_options.h"

namespace rsm {
namespace {

constexpr double kLargest = 1e30;             // float32 still holds it
constexpr int64_t kMostCounted = 1000000000;  // epochs, updates

torch::ScalarType parse_type(const Config& section, const std::string& key,
                             const std::string& fallback) {
  return type_named(section.choice(key, fallback, type_names()));
}

void read_prompts(const Config& section, RunOptions& o) {
  o.train_prompts = section.text("train", o.train_prompts);
  check_text(section, "train", o.train_prompts);
  o.prompts_per_epoch =
      section.integer("per_epoch", o.prompts_per_epoch, 1, 1000000);
  o.samples_per_prompt =
      section.integer("samples_per_prompt", o.samples_per_prompt, 1, 100000);
  o.t5_tokens = section.integer("t5_tokens", o.t5_tokens, 1, 512);
  o.t5 = section.flag("t5", o.t5);
  const auto beside = std::filesystem::path(o.folder).parent_path();
  o.cache = section.text("cache", (beside / ".conditions").string());
  check_text(section, "cache", o.cache);
  o.cache_gb = section.real("cache_gb", o.cache_gb, 0, kLargest);
}

/** Notes what does not add up: knobs that contradict, steps that the family
 * does not have, plans that cannot be drawn. */
void check_whole(const Config& config, const Path& path, const RunOptions& o) {
  config.check("method", [&] { check_method(o.method, o.steps); });
  check_rewards(config, o);
  const auto sampling = config.section("sampling");
  sampling.check("noise_level",
                 [&] { path.noisy_steps(path.times(o.steps), o.noise); });
  if (config.is_wrong("method") || sampling.is_wrong("noise_level")) return;
  const auto& estimator = o.method.estimator;
  if (estimator.source == EstimatorKnobs::Source::tree) {
    const auto section = config.section("method").section("estimator");
    section.section("tree").check("split_steps", [&] { o.plan(); });
  }
  const auto evaluation = config.section("evaluation");
  evaluation.check("steps", [&] {
    check_solver(evaluation, o.eval_solving,
                 o.eval_solving.times(path, path.times(o.eval_steps)));
  });
  if (config.is_wrong("method")) return;
  check_solver(sampling, o.plan().solving(), o.plan().times(path));
  const auto prompts = config.section("prompts");
  const double pictures = static_cast<double>(o.prompts_per_epoch) *
                          static_cast<double>(o.samples_per_prompt) *
                          static_cast<double>(o.plan().images_per_root());
  if (pictures > static_cast<double>(kMostPictures)) {
    prompts.note("per_epoch",
                 cat("with samples and branches these are ", pictures,
                     " pictures an epoch; allowed: ", kMostPictures));
  }
  if ((estimator.rows_share_pictures() || estimator.judges_every_step()) &&
      !estimator.is_of_pairs() &&
      estimator.grouping != EstimatorKnobs::Grouping::batch &&
      estimator.baseline != EstimatorKnobs::Baseline::running &&
      estimator.baseline != EstimatorKnobs::Baseline::none &&
      o.samples_per_prompt < 2) {
    prompts.note("samples_per_prompt",
                 "1 sample of each prompt has nothing to be compared with; a "
                 "method of stochastic paths or of pictures needs at least 2, "
                 "say 16");
  }
}

/** One side of a square, or [height, width]; 0 is the network's own size. */
std::vector<int64_t> read_size(const Config& section) {
  constexpr int64_t kLargestSide = 16384;
  if (!section.has("size") || section.is_scalar("size")) {
    const int64_t side = section.integer("size", 0, 0, kLargestSide);
    return side > 0 ? std::vector<int64_t>{side, side} : std::vector<int64_t>();
  }
  const auto sides = section.integers("size", {}, 1, kLargestSide);
  if (sides.size() != 2 && !section.is_wrong("size")) {
    section.note("size", cat("a list of ", sides.size(),
                             " numbers; one side in pixels, or [height, width] "
                             "is needed"));
  }
  return sides;
}

void read_sampling(const Config& section, Family family, RunOptions& o) {
  o.size = read_size(section);
  read_solver(section, family, o);
  o.continuation_steps = section.integer("continuation_steps", 0, 0, 1000);
  o.guidance_scale = section.real("guidance_scale", o.guidance_scale, 0, 100);
  o.negative_prompt = section.text("negative_prompt", "");
  const std::string sharing =
      section.choice("share", "all", {"all", "sampling", "none"});
  o.sharing = sharing == "all"        ? Sharing::all
              : sharing == "sampling" ? Sharing::sampling
                                      : Sharing::none;
}

void read_training(const Config& config, RunOptions& o) {
  const auto section = config.section("train");
  o.lora = section.choice("weights", "lora", {"lora", "full"}) == "lora";
  read_lora(section.section("lora"), config.is_wrong("model") ? "" : o.model,
            o);
  o.epochs = section.integer("epochs", o.epochs, 0, kMostCounted);
  o.max_minutes = section.real("max_minutes", o.max_minutes, 0, kMostMinutes);
  o.max_images = section.integer("max_images", o.max_images, 0);
  o.updates_per_epoch =
      section.integer("updates_per_epoch", o.updates_per_epoch, 1, 1000);
  o.dead_epochs =
      section.integer("dead_epochs", o.dead_epochs, 0, kMostCounted);
  o.lr = section.real("lr", o.lr, 0, kLargest);
  o.lr_decay = section.choice("lr_schedule", "constant",
                              {"constant", "linear"}) == "linear";
  o.adam_beta1 = section.real("adam_beta1", o.adam_beta1, 0, 1);
  o.adam_beta2 = section.real("adam_beta2", o.adam_beta2, 0, 1);
  o.adam_eps = section.real("adam_eps", o.adam_eps, 0, kLargest);
  o.weight_decay = section.real("weight_decay", o.weight_decay, 0, kLargest);
  o.max_grad_norm =
      section.real("max_grad_norm", o.max_grad_norm, 1e-12, kLargest);
  o.ema_decay = section.real("ema_decay", o.ema_decay, 0, 1);
  o.ema_every = section.integer("ema_every", o.ema_every, 1, kMostCounted);
  o.training_guidance_scale =
      section.real("guidance_scale", o.guidance_scale, 0, 100);
  if (o.training_guidance_scale != o.guidance_scale &&
      !o.method.estimator.is_of_pictures()) {
    section.note(
        "guidance_scale",
        cat(o.training_guidance_scale, " beside sampling's ", o.guidance_scale,
            "; the steps of a path are trained as they were drawn: "
            "leave it out, or take a method of source: pictures"));
  }
  o.stop_unconditional =
      section.flag("stop_unconditional", o.stop_unconditional);
  o.ema_warmup = section.flag("ema_warmup", o.ema_warmup);
}

/** Of the training copy; `o.lora` is known. */
torch::ScalarType read_training_type(const Config& section,
                                     const RunOptions& o) {
  const std::string key = "training_type";
  const auto type = parse_type(section, key, "float32");
  if (type == torch::kFloat16) {
    section.note(key,
                 "\"float16\"; a loss's gradient in the output is about 1e-9, "
                 "which float16 rounds to 0: float32 or bfloat16 is allowed");
  } else if (type != torch::kFloat32 && !o.lora) {
    section.note(key,
                 "\"bfloat16\" with train.weights \"full\"; its 8 bits round "
                 "small updates away: float32, or train.weights lora, is "
                 "allowed");
  }
  return type;
}

void read_compute(const Config& section, int64_t cores, RunOptions& o) {
  o.device = read_device(section);
  // CPUs gain little by half precision, and those without AVX-512 lose much.
  o.rollout_type = parse_type(section, "rollout_type",
                              o.device.is_cpu() ? "float32" : "bfloat16");
  if (auto slow =
          rollout_type_warning(o.device, o.rollout_type, has_fast_bfloat16());
      !slow.empty()) {
    o.warnings.push_back(std::move(slow));
  }
  o.training_type = read_training_type(section, o);
  o.text_type = parse_type(section, "text_type", "float32");
  o.vae_type = parse_type(section, "vae_type", "float32");
  if (cores == 0) {
    cores = static_cast<int64_t>(std::thread::hardware_concurrency());
  }
  const bool cpu = o.device.is_cpu();
  o.rollout_tiles.workers = o.train_tiles.workers = section.integer(
      "threads", cpu ? std::max<int64_t>(cores, 1) : 1, 1, 1024);
  if (!cpu && o.train_tiles.workers > 1) {
    section.note(
        "threads",
        cat(o.train_tiles.workers, " network calls at once on ", o.device.str(),
            ": they would wait for each ", "other; allowed on a GPU: 1"));
  }
  o.rank_timeout = section.real("rank_timeout", o.rank_timeout, 1, 1e6);
  read_memory_keys(section, o);
}

}  // namespace

PolicyOptions RunOptions::policy() const {
  PolicyOptions p;
  if (lora) {
    p.lora = lora_config;
    p.lora_from = lora_from;
    p.reference_has_lora = reference_has_lora;
  }
  p.seed = seed;
  p.guidance_scale = guidance_scale;
  p.training_guidance_scale = training_guidance_scale;
  if (eval_guidance_scale != guidance_scale) {
    p.evaluation_guidance_scale = eval_guidance_scale;
  }
  const auto& pull = method.regularisation;
  if (pull.has_own_reference()) {
    p.reference_guidance_scale = pull.guides_reference()
                                     ? pull.reference_guidance
                                     : training_guidance_scale;
  }
  p.has_old = method.estimator.pictures.old.is_kept();
  p.rollout_type = rollout_type;
  p.training_type = training_type;
  p.activation_checkpointing = activation_checkpointing;
  p.stop_unconditional = stop_unconditional;
  p.device = device;
  p.rollout_tiles = rollout_tiles;
  p.train_tiles = train_tiles;
  return p;
}

ModelOptions RunOptions::model_options() const {
  // Both copies of the network are made of what is read.
  const auto type =
      rollout_type == training_type ? training_type : torch::kFloat32;
  return {type,
          {device, text_type, t5_tokens, t5},
          device,
          vae_type,
          rollout_tiles.workers};
}

RolloutPlan RunOptions::plan() const {
  auto plan = make_plan(method, steps, noise, continuation_steps, sharing);
  plan.solver = solver;
  plan.adams = adams;
  return plan;
}

void check_text(const Config& section, const std::string& key,
                const std::string& text) {
  const auto is_control = [](unsigned char c) { return c < 0x20 || c == 0x7f; };
  if (section.is_wrong(key)) return;
  if (text.find_first_not_of(' ') == std::string::npos) {
    section.note(key, "is empty; give it a text");
  } else if (std::any_of(text.begin(), text.end(), is_control)) {
    section.note(key, "has line ends or control characters; allowed: one line");
  }
}

std::string read_name(const Config& config) {
  constexpr size_t kLongest = 200;  // bytes; file systems take 255
  const std::string name = config.text("name");
  check_text(config, "name", name);
  if (config.is_wrong("name")) return name;
  if (name.find('/') != std::string::npos || name == "." || name == "..") {
    config.note("name", cat("\"", name, "\" is no name of a folder; allowed: ",
                            "no slash, nor . or .. (`folder` takes a path)"));
  } else if (name.size() > kLongest) {
    config.note("name",
                cat("has ", name.size(), " bytes; allowed: ", kLongest));
  }
  return name;
}

torch::Device read_device(const Config& section) {
  const std::string name = section.text("device", "cpu");
  torch::Device device = torch::kCPU;
  section.check("device", [&] { device = device_named(name); });
  return device;
}

RunOptions read_run_options(const Config& config, int64_t cores) {
  RunOptions o;
  o.name = read_name(config);
  o.folder = config.text("folder", "runs/" + o.name);
  check_text(config, "folder", o.folder);
  o.model = config.text("model");
  o.seed = static_cast<uint64_t>(config.integer("seed", 42, 0));
  read_rewards(config, o);
  std::shared_ptr<const Path> path;  // null where there is no such model
  if (!config.is_wrong("model")) {
    config.check("model", [&] { path = load_path(o.model); });
  }
  const auto family = path ? path->family() : Family::flow;
  const auto sampling = config.section("sampling");
  o.steps = sampling.integer("steps", o.steps, 2, 1000);
  std::vector<std::string> replaced;
  o.method = read_method(
      config, o.steps, path ? std::optional(family) : std::nullopt, &replaced);
  read_predictor(config, family, o);
  if (!sampling.has("sampler")) o.warnings = std::move(replaced);
  o.label = config.text("label", o.method.name);
  check_text(config, "label", o.label);
  read_prompts(config.section("prompts"), o);
  read_noise(sampling, family, o);
  read_sampling(sampling, family, o);
  read_training(config, o);
  read_evaluation(config.section("evaluation"), family, o);
  check_negative_prompt(sampling, o);
  o.checkpoint_every =
      config.section("checkpoint")
          .integer("every", o.checkpoint_every, 1, kMostCounted);
  o.tensorboard = config.section("log").flag("tensorboard", o.tensorboard);
  read_compute(config.section("compute"), cores, o);
  for (auto& spec : o.rewards) {
    if (spec.device.empty()) spec.device = o.device.str();
    // On a GPU, `threads` is of its calls.
    if (o.device.is_cpu()) spec.threads = o.train_tiles.workers;
    spec.gradient = spec.weight != 0 && o.method.estimator.needs_gradients();
  }
  config.done();
  check_whole(config, *path, o);
  if (!o.memory.empty()) {
    config.done();
    choose_for_memory(config.section("compute"), o);
  }
  o.resolved = config.resolved();
  for (const auto& warning : folder_warnings(o.model)) {
    o.warnings.push_back(warning);
  }
  if (auto warning = average_warning(o); !warning.empty()) {
    o.warnings.push_back(std::move(warning));
  }
  return o;
}

}  // namespace rsm
