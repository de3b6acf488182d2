#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "rsm/analysis/signal_run.h"
#include "rsm/cli/analyze.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"

namespace rsm {
namespace {

struct SignalArguments : SignalRunOptions {
  std::string folder;  ///< empty: nothing is written
  bool csv = false, json = false;
};

/** What goes to the terminal, or what it is in a file. */
std::string printed(const SignalArguments& args, const SignalFindings& found) {
  if (args.json) return json_line(signal_json(found)) + "\n";
  if (args.csv) return report::table_csv(signal_rows(found));
  return signal_text(found);
}

int analyze_signal(const SignalArguments& args) {
  if (!args.folder.empty()) check_output_folder("-o", args.folder);
  TerminalProgress progress;
  const auto found = measure_signal(args, progress);
  std::printf("%s", printed(args, found).c_str());
  if (args.folder.empty()) return kDone;
  auto files = signal_plots(found);
  files["signal.csv"] = report::table_csv(signal_rows(found));
  files["signal.json"] = json_line(signal_json(found)) + "\n";
  files["signal.txt"] = signal_text(found);
  write_files(args.folder, files, !args.csv && !args.json);
  return kDone;
}

}  // namespace

void add_analyze_signal(CLI::App& group, Action& action) {
  auto args = std::make_shared<SignalArguments>();
  auto* command = group.add_subcommand(
      "signal",
      "Which times are worth their branches, on a run or a model.\n"
      "At every sampler step: how much siblings' rewards differ, how much of "
      "that changes its sign with the noise (only that can pull), signal and "
      "noise of the loss's gradient in the trained weights, and what it "
      "costs, each with its error over roots. Says which steps have too few "
      "branches and which too many.\n"
      "Writes signal.csv, signal.json, signal.txt and SVG files into --out.\n\n"
      "  rsm analyze signal runs/demo --out runs/demo-signal\n"
      "  rsm analyze signal configs/shapes/demo.yaml --roots 16\n"
      "  rsm analyze signal runs/demo --set reward=jpeg-compressibility\n\n"
      "It costs what (steps - 1) epochs of --roots roots and 2 x --branches "
      "branches would. Signals are small beside their noise: where none is "
      "seen, more --roots help.\n");
  command
      ->add_option("source", args->source,
                   "a run folder, as it stands, or a config, before training")
      ->required();
  command->add_option("--set", args->overrides,
                      "key=value, replacing a value of the config");
  command
      ->add_option("--roots", args->roots,
                   "how many, prompts in turn; a multiple of --blocks")
      ->check(CLI::Range(3, 1000000))
      ->capture_default_str();
  command->add_option("--branches", args->branches, "siblings of a root")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  command
      ->add_option("--blocks", args->blocks,
                   "parts of the roots, whose gradients are compared and held "
                   "in memory; errors come from leaving each out")
      ->check(CLI::Range(3, 1000))
      ->capture_default_str();
  command->add_option("--seed", args->seed,
                      "of prompts and noise (default: the run's)");
  command->add_option("-o,--out", args->folder,
                      "folder for the files (default: only the table is "
                      "printed)");
  auto* csv = command->add_flag("--csv", args->csv, "print signal.csv instead");
  command->add_flag("--json", args->json, "print signal.json instead")
      ->excludes(csv);
  command->callback(
      [args, &action] { action = [args] { return analyze_signal(*args); }; });
}

}  // namespace rsm
