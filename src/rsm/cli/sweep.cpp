#include "rsm/runs/sweep.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/communicator.h"
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
  std::string part = "1/1";
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

/** Runs what of a part is not finished yet. A run that fails does not stop the
 * others, a folder that holds another config does; returns how many failed. */
int64_t run_all(const Sweep& sweep, const SweepPart& part,
                TerminalProgress& progress) {
  int64_t failed = 0;
  for (size_t i = 0; i < sweep.runs.size() && !interrupted(); ++i) {
    if (!part.takes(i)) continue;
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
  const auto part = read_sweep_part(args.part);
  if (part.of == 1) {
    check_sole_process("[sweep]", ", or give each a part of its own, --part");
  }
  for (size_t i = 0; i < sweep.runs.size(); ++i) {
    const auto& run = sweep.runs[i].options;
    if (part.takes(i) && !is_finished(run)) check_before(run);
  }
  watch_for_interrupts();
  TerminalProgress progress;
  const int64_t failed = run_all(sweep, part, progress);
  if (interrupted()) {
    return stopped_status();
  }
  if (failed > 0) {
    progress.say(cat(failed, " of ", sweep.runs.size(),
                     " runs failed; the same command tries them again"));
    return kFailed;
  }
  const auto open = std::count_if(
      sweep.runs.begin(), sweep.runs.end(),
      [](const SweepRun& run) { return !is_finished(run.options); });
  if (open > 0) {
    progress.say(cat("part ", args.part, " is done; ", open,
                     " runs of other parts are not"));
    return kDone;
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
      "  rsm sweep bench/headline.yaml\n"
      "  rsm sweep bench/headline.yaml --part 1/4   # on the first of 4 "
      "GPUs\n");
  args->add_to(*command);
  command->add_flag("--list", args->list, "only say which runs there are");
  command->add_flag("--json", args->json, "print the table as JSON");
  command->add_option("--part", args->part,
                      "K/N: every N-th run from the K-th on, beside other "
                      "processes that take the other parts; the last one done "
                      "compares");
  command->callback(
      [args, &action] { action = [args] { return sweep_runs(*args); }; });
}

}  // namespace rsm
