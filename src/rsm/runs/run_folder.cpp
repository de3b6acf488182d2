#include "rsm/runs/run_folder.h"

#include <filesystem>
#include <set>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/methods/method_config.h"
#include "rsm/models/loading.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"
#include "rsm/runs/changed_keys.h"
#include "rsm/runs/export.h"
#include "rsm/runs/machine.h"
#include "rsm/runs/run_inputs.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** What a file says; nothing where it is missing or damaged. */
nlohmann::json object_in(const std::string& path) {
  try {
    const auto found = read_json(path);
    if (found.is_object()) return found;
  } catch (const Error&) {
  }
  return nlohmann::json::object();
}

}  // namespace

void refuse_changed(const RunOptions& options, const std::string& before,
                    const std::string& origin,
                    const std::vector<std::string>& proven) {
  const auto changed = changed_keys(before, options.resolved, origin, proven);
  RSM_CHECK(changed.empty(), "[finetune] ", options.folder,
            " holds a run of another config (", join(changed, "; "),
            "); choose another `name`, or remove the folder to start anew");
}

void check_same_run(const RunOptions& options) {
  const std::string path = options.folder + "/config.yaml";
  if (is_there(path)) refuse_changed(options, read_file(path), path, {});
}

bool says_finished(const std::string& run_folder) {
  return object_in(run_folder + "/run.json")
             .value("finished", nlohmann::json()) == true;
}

bool is_finished(const RunOptions& options) {
  const std::string config = options.folder + "/config.yaml";
  if (!is_there(config)) return false;
  const auto before = read_file(config);
  try {
    refuse_changed(options, before, config, input_keys());
  } catch (const UsageError&) {  // no config; the checkpoint has it too
    return false;
  }
  const std::string last = options.lora ? "/final/adapter_model.safetensors"
                                        : "/final/model_index.json";
  return before == options.resolved && says_finished(options.folder) &&
         is_there(options.folder + last);
}

namespace {

/** What training should not raise: of the reward, and what is measured beside.
 */
std::vector<std::string> watched_of(const RunOptions& o, const Reward& reward) {
  auto out = reward.watched_metrics();
  for (const auto& metric : o.beside.worse_if_more()) out.push_back(metric);
  return out;
}

}  // namespace

void write_description(const RunOptions& o, const Transitions& transitions,
                       const Prompts& train_prompts, const EvaluationSet& set,
                       const Reward& reward, bool finished) {
  nlohmann::json schedule;
  auto trained = o.method;
  if (auto& window = trained.estimator.window;
      window.is_on() && window.move != WindowKnobs::Move::frozen) {
    window.size = o.steps - window.start;  // wherever it comes
  }
  const auto h = normalised_h(trained, transitions);
  const auto& update = trained.regularisation;
  const bool clips = update.importance != RegularisationKnobs::Importance::none;
  for (int64_t i = 0; i < trained.estimator.trainable_steps(o.steps); ++i) {
    const int64_t rows = trained.estimator.rows_at(i, o.steps);
    const double exponent = row_factors(trained, transitions[i], 1).exponent;
    schedule.push_back(
        {{"step", i},
         {"t", transitions[i].t},
         {"branches", rows},
         {"strength", strength(trained.strength, transitions[i])},
         {"h", h[i]},
         {"clip", clips && rows > 0
                      ? nlohmann::json(update.log_range() / exponent)
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
       {"config_sha256", checksum(o.resolved)},
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
         {"watched", watched_of(o, reward)}}},
       {"prompts",
        {{"train", train_prompts.size()}, {"held_out", distinct.size()}}},
       {"schedule", schedule},
       {"warnings", o.warnings},
       {"machine", machine_fingerprint(o.device, o.train_tiles.tile)},
       {"versions", {{"rsm", RSM_VERSION}}},
       {"finished", finished}});
}

void write_final(const RunOptions& options, const Network& network,
                 const StateDict& average) {
  const std::string folder = options.folder + "/final";
  make_folders(folder);
  if (options.lora) {
    save_lora(folder, options.lora_config, average, network->part());
    return;
  }
  save_with_weights(options.model, folder, with_trained(network, average),
                    torch::kFloat32);
}

}  // namespace rsm
