#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/train_run.h"
#include "rsm/io/run_log.h"
#include "rsm/report/run_summary.h"
#include "rsm/runs/run_origin.h"

namespace rsm {
namespace {

int finetune(const RunOptions& options, bool json) {
  TerminalProgress progress;
  watch_for_interrupts();
  if (!train_run(options, progress)) {
    return stopped_status();
  }
  if (json) {
    const auto log = read_log(options.folder + "/log.jsonl");
    std::printf("%s\n", log.back().dump().c_str());
  } else {
    std::printf("%s\n%s/report.html\n",
                report::summary_text(report::read_run(options.folder)).c_str(),
                options.folder.c_str());
  }
  return kDone;
}

}  // namespace

void add_finetune(CLI::App& app, Action& action) {
  struct Arguments : ConfigArguments {
    bool json = false;
    std::string from;
    std::optional<int64_t> from_epoch;
  };
  auto args = std::make_shared<Arguments>();
  auto* command = app.add_subcommand(
      "finetune",
      "Fine-tune a model towards a reward and write a report.\n"
      "Running the same command again continues an unfinished run; Ctrl-C, "
      "SIGTERM and SIGUSR1\nsave what is whole and end it, the latter two with "
      "status 75.\n\n"
      "  rsm finetune configs/shapes/demo.yaml\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=even "
      "--set method.strength.shape=constant\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=long "
      "--set train.epochs=200 --set train.max_minutes=0\n"
      "  rsm finetune configs/shapes/demo.yaml --from runs/demo "
      "--set name=calmer --set train.lr=0.0001\n");
  args->add_to(*command);
  auto* from = command->add_option(
      "--from", args->from,
      "a run whose checkpoint this one begins with: only its name and "
      "training settings may differ, such as a lower train.lr");
  command
      ->add_option("--from-epoch", args->from_epoch,
                   "of that run; without it the newest that is near the model "
                   "before training")
      ->needs(from);
  command->add_flag("--json", args->json,
                    "print the last line of the run log instead of a summary");
  command->callback([args, &action] {
    action = [args] {
      const auto options = read_run_options(args->load());
      if (!args->from.empty()) {
        begin_from(options, args->from, args->from_epoch);
      }
      return finetune(options, args->json);
    };
  });
}

}  // namespace rsm
