#include "rsm/train/run_folder.h"

#include <filesystem>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/methods/method_config.h"
#include "rsm/models/loading.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"
#include "rsm/train/checkpoint.h"
#include "rsm/train/export.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

}  // namespace

void check_same_run(const RunOptions& options) {
  const std::string path = options.folder + "/config.yaml";
  if (!fs::exists(path)) {
    return;
  }
  const auto changed = changed_keys(read_file(path), options.resolved);
  RSM_CHECK(changed.empty(), "[finetune] ", options.folder,
            " holds a run of another config (", join(changed, "; "),
            "); choose another `name`, or remove the folder to start anew");
}

bool is_finished(const RunOptions& options) {
  check_same_run(options);
  const std::string description = options.folder + "/run.json";
  return fs::exists(description) &&
         read_json(description).value("finished", false) &&
         read_file(options.folder + "/config.yaml") == options.resolved;
}

void write_description(const RunOptions& o, const Transitions& transitions,
                       const Prompts& train_prompts, const EvaluationSet& set,
                       const Reward& reward, bool finished) {
  nlohmann::json schedule;
  const auto h = normalised_h(o.method, transitions);
  const auto& update = o.method.regularisation;
  const bool clips = update.importance != RegularisationKnobs::Importance::none;
  for (int64_t i = 0; i + 1 < o.steps; ++i) {
    const int64_t rows = rows_at(o.method.estimator, i, o.steps);
    const double exponent = row_factors(o.method, transitions[i], 1).exponent;
    schedule.push_back(
        {{"step", i},
         {"t", transitions[i].t},
         {"branches", rows},
         {"strength", strength(o.method.strength, transitions[i])},
         {"h", h[i]},
         {"clip", clips && rows > 0
                      ? nlohmann::json(update.clip_range / exponent)
                      : nlohmann::json()}});
  }
  std::set<int64_t> distinct;
  for (const auto& prompt : set.prompts) {
    distinct.insert(prompt.id);
  }
  auto method = to_json(o.method);
  nlohmann::json knobs = {{"estimator", method["estimator"]},
                          {"strength", method["strength"]},
                          {"regularisation", method["regularisation"]},
                          {"as_published", o.method.as_published}};
  write_json_atomic(
      o.folder + "/run.json",
      {{"name", o.name},
       {"label", o.label},
       {"method",
        {{"name", o.method.name},
         {"source", o.method.source},
         {"summary", o.method.summary},
         {"knobs", knobs}}},
       {"model", o.model},
       {"guidance_scale", o.guidance_scale},
       {"steps", o.steps},
       {"seed", o.seed},
       {"reward",
        {{"name", reward.name()},
         {"main_metric", reward.main_metric()},
         {"watched", reward.watched_metrics()}}},
       {"prompts",
        {{"train", train_prompts.size()}, {"held_out", distinct.size()}}},
       {"schedule", schedule},
       {"warnings", o.warnings},
       {"machine", machine_fingerprint()},
       {"versions", {{"rsm", RSM_VERSION}}},
       {"finished", finished}});
}

void write_final(const RunOptions& options, const ImageModel& model,
                 const StateDict& average) {
  const std::string folder = options.folder + "/final";
  fs::create_directories(folder);
  if (options.lora) {
    save_lora(folder, options.lora_config, average, model.network->part());
    return;
  }
  ImageModel merged = model;
  merged.network = copy_of(model.network, torch::kFloat32, torch::kCPU);
  load_parameters(*merged.network,
                  with_trained(model.network, average, std::nullopt),
                  "write_final");
  merged.save(folder, torch::kFloat32);
}

}  // namespace rsm
