#include "rsm/runs/run_parts.h"

#include <utility>

#include "rsm/data/prompts.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/condition_cache.h"
#include "rsm/runs/run_origin.h"

namespace rsm {
namespace {

/** The texts of a run, by what they are. */
std::vector<std::pair<std::vector<std::string>, std::string>> texts_by_use(
    const RunOptions& options, const RunParts& parts) {
  std::vector<std::pair<std::vector<std::string>, std::string>> out = {
      {texts_of(parts.train_prompts), "training prompts"},
      {texts_of(parts.evaluation_set.prompts), "evaluation prompts"},
      {{options.negative_prompt}, "negative prompts"}};
  if (options.method.estimator.gradient.prompt_dropout > 0) {
    out.push_back({{""}, "empty prompts"});
  }
  return out;
}

std::unique_ptr<const Conditioner> prepared_conditions(
    const RunOptions& options, const RunParts& parts, Progress& progress) {
  ConditionCacheOptions cache;
  cache.device = options.device;
  const auto& encoders = parts.model.text;
  if (encoders->is_large() && options.cache_gb > 0) {
    cache.folder = options.cache;
    cache.disk_bytes = static_cast<int64_t>(options.cache_gb * 1e9);
    cache.encoders = encoders_key(*encoders, parts.inputs.model_files);
  }
  auto out = std::make_unique<ConditionCache>(encoders, cache);
  std::vector<std::string> all;
  for (const auto& [texts, use] : texts_by_use(options, parts)) {
    all.insert(all.end(), texts.begin(), texts.end());
  }
  out->prepare(std::move(all), progress);
  return out;
}

/** Throws where the reward does not judge the run's pictures or prompts. */
void check_inputs(const RunParts& parts) {
  const auto& latent = parts.evaluation_set.latent_shape;
  const int64_t scale = parts.model.decoder->scale();
  for (const auto* prompts :
       {&parts.train_prompts, &parts.evaluation_set.prompts}) {
    parts.reward->check_inputs(*prompts, latent[1] * scale, latent[2] * scale);
  }
}

}  // namespace

RunParts open_parts(const RunOptions& options, Progress& progress, bool locks) {
  RunParts out;
  if (locks) {
    out.lock =
        std::make_unique<FolderLock>(options.folder, "[finetune]", progress);
  }
  out.inputs = run_inputs(options);
  out.model = ImageModel::load(options.model, options.model_options());
  out.reward = make_any_rewards(options.rewards, progress);
  out.train_prompts = load_prompts(options.train_prompts);
  out.reward->check();
  if (!options.beside.given().empty()) {
    out.beside =
        std::make_unique<PictureMetrics>(options.beside, options.device);
  }
  out.evaluation_set = make_evaluation_set(load_prompts(options.eval_prompts),
                                           options.eval_images, options.seed);
  out.evaluation_set.latent_shape = out.model.latent_shape(options.size);
  check_inputs(out);
  out.conditions = prepared_conditions(options, out, progress);
  for (const auto& [texts, use] : texts_by_use(options, out)) {
    auto text = truncation_warning(*out.model.text, texts, use);
    if (!text.empty()) out.warnings.push_back(std::move(text));
  }
  if (auto origin = origin_text(options.folder); !origin.empty()) {
    out.warnings.push_back(std::move(origin));
  }
  return out;
}

}  // namespace rsm
