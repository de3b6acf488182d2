#include "rsm/runs/replay.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/io/safetensors.h"

namespace rsm {
namespace {

constexpr const char* kPrompts = "prompts";

nlohmann::json to_json(const Prompts& prompts) {
  auto out = nlohmann::json::array();
  for (const auto& prompt : prompts) {
    out.push_back({{"id", prompt.id},
                   {"text", prompt.text},
                   {"category", prompt.category},
                   {"metadata", prompt.metadata}});
  }
  return out;
}

Prompts prompts_from(const std::string& text, const std::string& where) {
  Prompts out;
  for (const auto& one : nlohmann::json::parse(text)) {
    const JsonFields fields(one, where);
    Prompt prompt;
    prompt.id = fields.integer("id");
    prompt.text = fields.text("text");
    prompt.category = fields.text("category");
    prompt.metadata = fields.text("metadata");
    out.push_back(prompt);
  }
  return out;
}

std::string name_of(int64_t epoch) {
  return cat("epoch-", epoch, ".safetensors");
}

/** The SHA-256 of an epoch's file, which has to be that which a checkpoint
 * says, if it says any. `advice`: what else to do. */
std::string checked_sum(const std::string& path, int64_t epoch,
                        const Checksums& says, const std::string& advice) {
  RSM_CHECK(is_there(path), "[replay] ", path, " is missing: ", advice);
  const auto sum = file_checksum(path);
  const auto said = says.find(name_of(epoch));
  RSM_CHECK(says.empty() || (said != says.end() && said->second == sum),
            "[replay] ", path,
            " is not the file that the checkpoint names: it has another "
            "checksum; ",
            advice);
  return sum;
}

}  // namespace

std::string Replay::path_of(int64_t epoch) const {
  return folder_ + "/" + name_of(epoch);
}

Replay::Epoch Replay::kept(const Sampled& sampled) {
  const auto& rollout = sampled.rollout;
  Epoch out;
  for (const int64_t prompt : rollout.image_prompt) {
    out.prompts.push_back(rollout.prompts[prompt]);
  }
  const int64_t roots = rollout.images();
  out.tensors = {{"x", rollout.x.unflatten(0, {roots, -1})},
                 {"y", rollout.y.unflatten(0, {roots, -1})},
                 {"latents", rollout.latents},
                 {"value", sampled.scores.value}};
  return out;
}

void Replay::write(int64_t epoch, Epoch& kept) const {
  if (!writes_) return;
  make_folders(folder_);
  kept.sha256 =
      write_safetensors(path_of(epoch), kept.tensors,
                        {{kPrompts, json_line(to_json(kept.prompts))}});
}

void Replay::remove_before(int64_t epoch) const {
  if (!is_on() || !writes_) return;
  std::error_code none;
  for (int64_t e = epoch - knobs_.replay - 1;
       e >= 0 && std::filesystem::remove(path_of(e), none); --e) {
  }
}

Checksums Replay::files(int64_t epoch) const {
  Checksums out;
  if (!is_on()) return out;
  for (const auto& [e, one] : held_) {
    if (e >= first_held_at(epoch) && e < epoch) out[name_of(e)] = one.sha256;
  }
  return out;
}

void Replay::load(int64_t epoch, const Checksums& says) {
  held_.clear();
  if (!is_on()) return;
  for (int64_t e = first_held_at(epoch); e < epoch; ++e) {
    const std::string path = path_of(e);
    const auto sum = checked_sum(
        path, e, says,
        "the run replays its past epochs and can't go on in the same numbers "
        "without; bring it back, or begin anew");
    const auto file = read_safetensors(path);
    const auto found = file.metadata.find(kPrompts);
    RSM_CHECK(found != file.metadata.end(), "[replay] ", path,
              " names no prompts; it is not a file of this run");
    held_[e] = {prompts_from(found->second, "[replay] " + path), file.tensors,
                sum};
  }
}

void Replay::copy_from(const std::string& run_folder, int64_t epoch,
                       const Checksums& says) const {
  if (!is_on()) return;
  const Replay other(run_folder, knobs_);
  make_folders(folder_);
  for (int64_t e = first_held_at(epoch); e < epoch; ++e) {
    const std::string path = other.path_of(e);
    checked_sum(path, e, says,
                cat("after epoch ", epoch,
                    " the run replays it; begin at another of its epochs "
                    "(--from-epoch)"));
    copy_file_atomic(path, path_of(e));
  }
}

std::vector<Replay::Trajectory> Replay::trained_at(int64_t epoch) const {
  const int64_t last =
      std::max(held_.begin()->first, epoch - knobs_.replay_age);
  std::vector<Trajectory> out;
  for (const auto& [e, one] : held_) {
    if (e > last) break;
    for (int64_t i = 0; i < std::ssize(one.prompts); ++i) {
      out.emplace_back(&one, i);
    }
  }
  return out;
}

std::vector<Replay::Trajectory> Replay::drawn(int64_t epoch, int64_t count,
                                              uint64_t seed) const {
  const auto all = trained_at(epoch);
  std::vector<double> weights;
  double sum = 0;
  for (const auto& [of, i] : all) {
    const auto value = of->tensors.at("value")[i].item<double>();
    weights.push_back(std::max(value, 0.0));
    sum += weights.back();
  }
  const bool by_reward =
      knobs_.replay_draw == GradientKnobs::Draw::reward && sum > 0;
  const auto order = by_reward ? counted_choice(seed, weights, count)
                               : counted_permutation(seed, std::ssize(all));
  std::vector<Trajectory> out;
  for (int64_t k = 0; k < count; ++k) out.push_back(all[order[k]]);
  return out;
}

Sampled Replay::mixed(const Sampled& fresh, int64_t epoch, uint64_t seed,
                      const RolloutPlan& plan, const Conditioner& conditioner) {
  held_.erase(held_.begin(), held_.lower_bound(first_held_at(epoch)));
  held_[epoch] = kept(fresh);
  write(epoch, held_.at(epoch));
  Prompts prompts;
  std::map<std::string, std::vector<torch::Tensor>> parts;
  for (const auto& [of, i] : drawn(epoch, fresh.rollout.images(), seed)) {
    prompts.push_back(of->prompts[i]);
    for (const auto& [name, tensor] : of->tensors) {
      parts[name].push_back(tensor[i]);
    }
  }
  Sampled out;
  static_cast<RolloutIndex&>(out.rollout) =
      lay_out(plan, fresh.rollout.transitions, prompts, 1);
  out.rollout.x = at::stack(parts.at("x")).flatten(0, 1);
  out.rollout.y = at::stack(parts.at("y")).flatten(0, 1);
  out.rollout.latents = at::stack(parts.at("latents"));
  out.rollout.x_next = fresh.rollout.x_next;
  out.rollout.evaluations = fresh.rollout.evaluations;
  out.scores.value = at::stack(parts.at("value"));
  out.conditions = conditioner.encode(texts_of(prompts));
  return out;
}

}  // namespace rsm
