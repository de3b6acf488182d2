#include "rsm/runs/sweep.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/print_comparison.h"
#include "rsm/cli/train_run.h"
#include "rsm/runs/run_folder.h"

namespace rsm {
namespace {

struct SweepArguments : ConfigArguments {
  bool list = false;
  bool json = false;
};

void print_list(const Sweep& sweep, bool json) {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& run : sweep.runs) {
    rows.push_back({{"label", run.label},
                    {"seed", run.seed},
                    {"folder", run.options.folder},
                    {"finished", is_finished(run.options)}});
  }
  if (json) {
    std::printf("%s\n", rows.dump(2).c_str());
    return;
  }
  for (const auto& row : rows) {
    std::printf(
        "%-8s seed %-6s %s\n", row["finished"].get<bool>() ? "done" : "to do",
        row["seed"].dump().c_str(), row["label"].get<std::string>().c_str());
  }
}

/** Runs what is not finished yet. A run that fails does not stop the others,
 * a folder that holds another config does; returns how many failed. */
int64_t run_all(const Sweep& sweep, TerminalProgress& progress) {
  int64_t failed = 0;
  for (size_t i = 0; i < sweep.runs.size() && !interrupted(); ++i) {
    const auto& run = sweep.runs[i];
    const std::string title = cat("run ", i + 1, "/", sweep.runs.size(), " ",
                                  run.label, ", seed ", run.seed);
    if (is_finished(run.options)) {
      progress.say(title + ": done before");
      continue;
    }
    progress.say(title);
    try {
      train_run(run.options, progress, title);
    } catch (const std::exception&) {
      progress.say(cat(title, " failed: ", failure_text()));
      ++failed;
    }
  }
  return failed;
}

int sweep_runs(const SweepArguments& args) {
  const Sweep sweep = read_sweep(args.load());
  if (args.list) {
    print_list(sweep, args.json);
    return kDone;
  }
  for (const auto& run : sweep.runs) {
    if (!is_finished(run.options)) check_before(run.options);
  }
  watch_for_interrupts();
  TerminalProgress progress;
  const int64_t failed = run_all(sweep, progress);
  if (interrupted()) {
    return kFailed;
  }
  if (failed > 0) {
    progress.say(cat(failed, " of ", sweep.runs.size(),
                     " runs failed; the same command tries them again"));
    return kFailed;
  }
  return print_comparison({sweep.folder}, {}, sweep.folder, args.json);
}

}  // namespace

void add_sweep(CLI::App& app, Action& action) {
  auto args = std::make_shared<SweepArguments>();
  auto* command = app.add_subcommand(
      "sweep",
      "Run a table of settings and seeds one after another, then compare "
      "them.\n"
      "Running the same command again continues where it stopped.\n\n"
      "  rsm sweep bench/headline.yaml --list\n"
      "  rsm sweep bench/headline.yaml\n");
  args->add_to(*command);
  command->add_flag("--list", args->list, "only say which runs there are");
  command->add_flag("--json", args->json, "print the table as JSON");
  command->callback(
      [args, &action] { action = [args] { return sweep_runs(*args); }; });
}

}  // namespace rsm
