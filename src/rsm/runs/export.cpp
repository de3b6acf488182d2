#include "rsm/runs/export.h"

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/io/config.h"
#include "rsm/io/config_node.h"
#include "rsm/io/files.h"
#include "rsm/io/folder_lock.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_files.h"
#include "rsm/models/policy.h"
#include "rsm/runs/checkpoint.h"
#include "rsm/runs/optimizer_state.h"
#include "rsm/runs/run_options.h"
#include "rsm/runs/watch.h"

namespace rsm {
namespace {

/** Where networks are compared. */
const std::vector<float> kTimes = {0.95f, 0.7f, 0.4f, 0.1f};

/** Differences that merging (another order of sums) or rounding the weights to
 * `type` may make in a network's output. */
double allowed_difference(torch::ScalarType type) {
  switch (type) {
    case torch::kBFloat16:
      return 5e-2;
    case torch::kFloat16:
      return 5e-3;
    default:
      return 1e-4;
  }
}

/** What networks are compared on: noise, the times above, some texts. */
class Probe {
 public:
  Probe(const ImageModel& model, const RunOptions& options)
      : times_(torch::tensor(kTimes)) {
    const auto count = static_cast<int64_t>(kTimes.size());
    std::vector<int64_t> shape = model.latent_shape();
    shape.insert(shape.begin(), count);
    x_ = counted_normal(counted_seed(options.seed, Purpose::bench, {0}), shape);
    condition_ = model.text->encode(
        {"a red circle", "two blue squares", "a photo of a cat", "words"});
  }

  torch::Tensor output(const Network& network) const {
    const torch::NoGradGuard no_grad;
    return network->predict(x_, times_, condition_);
  }

 private:
  torch::Tensor times_, x_;
  Condition condition_;
};

double difference(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).abs().max() / b.abs().max().clamp_min(1e-30)).item<double>();
}

/** A run's newest checkpoint, or that of its best evaluation. */
Checkpoint wanted(const ExportOptions& options, Progress& progress) {
  if (options.best) {
    const auto epoch = kept_best(options.run);
    RSM_CHECK(epoch.has_value(), "[export] ", best_folder(options.run),
              " keeps no checkpoint; leave --best out");
    progress.say(cat("exporting epoch ", *epoch));
    return read_checkpoint(best_folder(options.run), *epoch);
  }
  std::vector<std::string> damaged;
  auto checkpoint = latest_checkpoint(options.run, &damaged);
  RSM_CHECK(checkpoint.has_value(), "[export] ", options.run,
            " has no whole checkpoint", damaged.empty() ? "" : ": ",
            join(damaged, "; "), "; give the folder of a run");
  for (const auto& text : damaged) {
    progress.say("warning: passing over a damaged checkpoint, " + text);
  }
  if (!damaged.empty()) {
    progress.say(cat("exporting epoch ", checkpoint->epoch));
  }
  return std::move(*checkpoint);
}

/** The folder of the run's base model, wherever that lies now. `said` is what
 * the run's config calls it. */
std::string base_model(const ExportOptions& options, const Checkpoint& run,
                       const std::string& said) {
  std::vector<std::string> places = {options.model};
  if (options.model.empty()) places = {said, run.inputs.model_place};
  std::vector<std::string> wrong;
  for (const auto& place : places) {
    if (!is_there(place + "/model_index.json")) {
      wrong.push_back(place + " is no model folder");
      continue;
    }
    const auto changed =
        changed_files(run.inputs.model_files, model_checksums(place));
    if (changed.empty()) return place;
    wrong.push_back(cat(place, " is another model: ", changed));
  }
  throw Error(cat("[export] the model that ", options.run,
                  " was trained on is not there: ", join(wrong, "; "),
                  "; say with --model where it lies, unchanged"));
}

/** The run's options, as the checkpoint has them. */
RunOptions options_of(const ExportOptions& options, const Checkpoint& run) {
  const std::string path = options.run + "/config.yaml";
  const auto model =
      base_model(options, run, Config::parse(run.config, path).text("model"));
  // The LoRA it began with, whose rank and targets the config has, may be gone.
  return read_run_options(Config::parse(
      run.config, path, {"model=" + yaml_text(model), "train.lora.from=''"}));
}

/** Compares networks of files, one by one, with the trained one. */
class Exporter {
 public:
  Exporter(const Probe& probe, torch::Tensor expected)
      : probe_(probe), expected_(std::move(expected)) {}

  void add(const std::string& path, const Network& network, double allowed) {
    const double found = difference(probe_.output(network), expected_);
    RSM_CHECK(found <= allowed, "[export] ", path,
              " read back gives outputs that differ by ", found,
              " of the largest from the trained network's; at most ", allowed,
              " is rounding. Don't use the file");
    files_.push_back({path, found, allowed});
  }

  std::vector<ExportedFile> files() const { return files_; }

 private:
  const Probe& probe_;
  torch::Tensor expected_;
  std::vector<ExportedFile> files_;
};

/** The output of the network as it trained: its LoRA beside the weights, not
 * merged, or `weights` loaded into it. */
torch::Tensor trained_output(const Network& network, const RunOptions& run,
                             const StateDict& weights, const Probe& probe) {
  if (!run.lora) {
    load_parameters(*network, with_trained(network, weights), "export");
    return probe.output(network);
  }
  LoraAdapter adapter(*network, run.lora_config, run.seed);
  adapter.load_state(weights);
  return probe.output(network);
}

/** Writes both LoRA files, reads them back and compares. Returns the network
 * with `weights` merged into `base`'s. */
Network export_lora(const ExportOptions& options, const RunOptions& run,
                    const std::string& folder, const Network& base,
                    const StateDict& weights, Exporter& exporter) {
  const LoraFile trained = {run.lora_config, weights};
  const auto lora = options.fold_alpha ? folded(trained) : trained;
  const auto part = base->part();
  save_lora(folder, lora.config, lora.tensors, part);
  const auto network = base->fresh();
  const auto merge = [&](const LoraFile& file) {
    load_merged(*network, state_dict(*base), file.tensors, file.config);
    return network;
  };
  const double allowed = allowed_difference(torch::kFloat32);
  exporter.add(folder + "/adapter_model.safetensors",
               merge(load_peft_adapter(folder)), allowed);
  exporter.add(folder + "/pytorch_lora_weights.safetensors",
               merge(load_diffusers_lora(folder, part)), allowed);
  return merge(trained);
}

}  // namespace

void save_lora(const std::string& folder, const LoraConfig& config,
               const StateDict& lora, const std::string& part) {
  save_peft_adapter(folder, config, lora);
  save_diffusers_lora(folder, config, lora, part);
}

std::vector<ExportedFile> export_run(const ExportOptions& options,
                                     Progress& progress) {
  auto checkpoint = wanted(options, progress);
  const auto run = options_of(options, checkpoint);
  auto weights = copied(with_prefix(checkpoint.tensors,
                                    options.average ? "average." : "trained."));
  checkpoint.tensors.clear();
  const std::string folder =
      options.output.empty() ? options.run + "/export" : options.output;
  const FolderLock lock(folder, "[export]", progress);
  if (lock.held() && options.output.empty()) {
    remove_temporary_files(folder);
  }
  auto model = ImageModel::load(run.model);
  const Probe probe(model, run);
  auto network = std::move(model.network);
  Exporter exporter(probe, trained_output(network, run, weights, probe));
  if (run.lora) {
    network = export_lora(options, run, folder, network, weights, exporter);
  }
  weights.clear();
  const std::string path = folder + "/merged";
  save_with_weights(run.model, path, state_dict(*network), options.type);
  network.reset();
  exporter.add(path, ImageModel::load(path).network,
               allowed_difference(options.type));
  return exporter.files();
}

}  // namespace rsm
