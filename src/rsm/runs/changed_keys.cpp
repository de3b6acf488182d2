#include "rsm/runs/changed_keys.h"

#include <algorithm>
#include <map>

#include "rsm/base/error.h"
#include "rsm/io/config_values.h"

namespace rsm {
namespace {

bool contains(const std::vector<std::string>& keys, const std::string& key) {
  return std::find(keys.begin(), keys.end(), key) != keys.end();
}

/** The value at a key, "" where it is absent. */
std::string text_at(const ConfigNode& map, const std::string& key) {
  const auto* found = map.find(key);
  return found == nullptr ? "" : found->scalar;
}

/** A reward's name, with the type that it computes in and that it sees groups,
 * where that is said. */
std::string name_of(const ConfigNode& reward) {
  const auto type = text_at(reward, "type");
  auto name = text_at(reward, "name");
  if (!type.empty() && type != "float32") name += " in " + type;
  if (text_at(reward, "groups") == "true") name += " by groups";
  return name;
}

/** A config's values by key. Of the rewards, names, types and weights: how long
 * one may take and how often it is asked again changes no number. */
std::map<std::string, std::string> values_of(const std::string& config,
                                             const std::string& origin) {
  const auto root = parse_config(config, origin);
  auto out = config_values(*root);
  const auto* rewards = root->find("rewards");
  if (out.erase("rewards") > 0) {
    std::vector<std::string> names;
    for (const auto& reward : rewards->children) {
      const auto weight = text_at(*reward, "weight");
      const auto name = name_of(*reward);
      const bool plain = weight.empty() || weight == "1";
      names.push_back(plain ? name : cat(weight, " * ", name));
    }
    out["reward"] = join(names, " + ");
  }
  return out;
}

}  // namespace

std::vector<std::string> changed_keys(const std::string& before,
                                      const std::string& after,
                                      const std::string& origin,
                                      const std::vector<std::string>& proven) {
  static const std::vector<std::string> free = {
      "train.epochs",
      "train.dead_epochs",
      "train.max_minutes",
      "train.max_images",
      "checkpoint.every",
      "evaluation.every",
      "evaluation.every_minutes",
      "evaluation.watch.action",
      "evaluation.watch.best_kl",
      "evaluation.watch.colours",
      "evaluation.watch.diversity",
      "evaluation.watch.brisque",
      "evaluation.watch.edges",
      "evaluation.watch.feature_diversity",
      "evaluation.watch.keep_best",
      "evaluation.watch.niqe",
      "evaluation.watch.outputs",
      "evaluation.watch.saturation",
      "compute.device",
      "compute.rank_timeout",
      "compute.threads",
      "folder",
      "label",
      "log.tensorboard",
      "compute.activation_checkpointing",
      "compute.memory",
      "prompts.cache",
      "prompts.cache_gb"};
  // Keys that configs did not always have, and what runs did without.
  static const std::map<std::string, std::string> later = {
      {"compute.training_type", "float32"},
      {"compute.text_type", "float32"},
      {"compute.vae_type", "float32"},
      {"prompts.t5", "true"},
      {"prompts.t5_tokens", "256"},
      {"sampling.size", "0"},
      {"sampling.negative_prompt", ""},
      {"train.lora.from", ""},
      {"train.lora.reference", "base"},
      {"evaluation.features", ""},
      {"evaluation.niqe", ""},
      {"evaluation.brisque", ""},
      {"sampling.solver", "euler"},
      {"evaluation.solver", "euler"},
      {"method.estimator.gradient.particles", "1"},
      {"method.estimator.gradient.jitter", "0"},
      {"method.estimator.gradient.first_step", "0"},
      {"method.estimator.gradient.early_times", "0"},
      {"method.estimator.gradient.shared_times", "false"},
      {"method.estimator.gradient.prompt_dropout", "0"},
      {"method.estimator.gradient.norm_quantile", "0"},
      {"method.estimator.gradient.replay_age", "0"},
      {"method.estimator.gradient.replay_draw", "even"},
      {"method.estimator.forward.rows", "0"},
      {"method.estimator.return", "hard"},
      {"method.estimator.budget.every", "0"},
      {"method.estimator.budget.least_worth", "0.25"},
      {"method.estimator.budget.strength", "false"},
      {"method.estimator.window.size", "0"},
      {"method.estimator.pictures.distinct", "false"},
      {"method.estimator.pictures.clip", "0"},
      {"method.estimator.pictures.mode", "all"},
      {"method.estimator.diversity", "none"},
      {"method.regularisation.gate.share", "0"},
      {"method.regularisation.reset_reference.kl", "0"},
      {"method.regularisation.reset_reference.every", "0"},
      {"method.regularisation.reference_guidance", "0"},
      {"method.regularisation.least_pull", "1"}};
  auto old_values = values_of(before, origin);
  if (old_values.contains("sampling.guidance_scale")) {
    const auto scale = old_values.at("sampling.guidance_scale");
    old_values.try_emplace("train.guidance_scale", scale);
    old_values.try_emplace("evaluation.guidance_scale", scale);
  }
  const auto new_values = values_of(after, "the config");
  std::vector<std::string> changed;
  // A falling learning rate depends on how many epochs there are.
  const auto schedule = new_values.find("train.lr_schedule");
  const bool falling =
      schedule != new_values.end() && schedule->second == "linear";
  const auto note = [&](const std::string& key, const std::string& from,
                        const std::string& to) {
    if ((falling && key == "train.epochs") ||
        (!contains(free, key) && !contains(proven, key))) {
      changed.push_back(cat(key, ": ", from, " -> ", to));
    }
  };
  for (const auto& [key, value] : old_values) {
    const auto found = new_values.find(key);
    if (found == new_values.end()) {
      note(key, value, "(gone)");
    } else if (found->second != value) {
      note(key, value, found->second);
    }
  }
  for (const auto& [key, value] : new_values) {
    const auto former = later.find(key);
    const bool same = former != later.end() && former->second == value;
    if (old_values.count(key) == 0 && !same) {
      note(key, "(absent)", value);
    }
  }
  return changed;
}

}  // namespace rsm
