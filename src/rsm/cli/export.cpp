#include "rsm/runs/export.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/cli/commands.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/io/files.h"
#include "rsm/models/loading.h"
#include "rsm/report/run_record.h"

namespace rsm {
namespace {

struct ExportArguments : ExportOptions {
  std::string type_name = "float32";
  bool latest = false;
  bool json = false;
};

int run_export(ExportArguments args) {
  check_output_folder("-o",
                      args.output.empty() ? args.run + "/export" : args.output);
  args.average = !args.latest;
  args.type = type_named(args.type_name);
  TerminalProgress progress;
  const auto about = report::read_run(args.run);
  const auto files = export_run(args, progress);
  for (const auto& warning : about.warnings) {
    progress.say("warning: " + warning);
  }
  nlohmann::json out = nlohmann::json::array();
  for (const auto& file : files) {
    out.push_back({{"path", file.path},
                   {"difference", file.difference},
                   {"allowed", file.allowed}});
  }
  if (args.json) {
    std::printf("%s\n", out.dump(2).c_str());
    return kDone;
  }
  for (const auto& file : files) {
    std::printf(
        "%s\n  read back: outputs within %.1e of the trained "
        "network's (rounding: %.0e)\n",
        file.path.c_str(), file.difference, file.allowed);
  }
  return kDone;
}

}  // namespace

void add_export(CLI::App& app, Action& action) {
  auto args = std::make_shared<ExportArguments>();
  auto* command = app.add_subcommand(
      "export",
      "Write what a run has learnt so that diffusers and PEFT load it, read "
      "it back and compare.\n\n"
      "  rsm export runs/demo\n"
      "  rsm export runs/my-lora -o for-others --fold-alpha\n"
      "  rsm sample runs/demo/export/merged \"two crosses\"\n\n"
      "Then, in Python (of a diffusion model: UNet2DConditionModel, \"unet\"):"
      "\n\n"
      "  from diffusers import SD3Transformer2DModel as Model\n"
      "  whole = Model.from_pretrained(\"runs/demo/export/merged\",\n"
      "                                subfolder=\"transformer\")\n"
      "  base = Model.from_pretrained(\"models/shapes-flow\",\n"
      "                               subfolder=\"transformer\")\n"
      "  base.load_lora_adapter(\"for-others\", use_safetensors=True)\n");
  command->add_option("run", args->run, "a run folder")->required();
  command->add_option("-o,--output", args->output,
                      "a folder; without it RUN/export");
  command->add_option("--model", args->model,
                      "where the base model lies now, if it was moved");
  command->add_flag("--latest", args->latest,
                    "the last update's weights, not their average");
  command->add_flag("--best", args->best,
                    "the weights that the run's best/ keeps, not the newest");
  command->add_flag("--fold-alpha", args->fold_alpha,
                    "LoRA files with alpha = rank, B carrying the scale, for "
                    "readers that pass over alpha");
  command->add_option("--type", args->type_name, "of the merged weights")
      ->check(CLI::IsMember(type_names()))
      ->capture_default_str();
  command->add_flag("--json", args->json, "say in JSON what was written");
  command->callback(
      [args, &action] { action = [args] { return run_export(*args); }; });
}

}  // namespace rsm
