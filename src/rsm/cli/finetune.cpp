#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/train_run.h"
#include "rsm/io/run_log.h"
#include "rsm/report/run_summary.h"

namespace rsm {
namespace {

int finetune(const RunOptions& options, bool json) {
  TerminalProgress progress;
  watch_for_interrupts();
  if (!train_run(options, progress)) {
    return kFailed;
  }
  if (json) {
    const auto log = read_log(options.folder + "/log.jsonl");
    std::printf("%s\n", log.back().dump().c_str());
  } else {
    std::printf("%s\n%s/report.html\n",
                summary_text(read_run(options.folder)).c_str(),
                options.folder.c_str());
  }
  return kDone;
}

}  // namespace

void add_finetune(CLI::App& app, Action& action) {
  struct Arguments : ConfigArguments {
    bool json = false;
  };
  auto args = std::make_shared<Arguments>();
  auto* command = app.add_subcommand(
      "finetune",
      "Fine-tune a model towards a reward and write a report.\n"
      "Running the same command again continues an unfinished run; Ctrl-C "
      "finishes the epoch and saves.\n\n"
      "  rsm finetune configs/shapes/demo.yaml\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=even "
      "--set method.strength.shape=constant\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=long "
      "--set train.epochs=200 --set train.max_minutes=0\n");
  args->add_to(*command);
  command->add_flag("--json", args->json,
                    "print the last line of the run log instead of a summary");
  command->callback([args, &action] {
    action = [args] {
      return finetune(read_run_options(args->load()), args->json);
    };
  });
}

}  // namespace rsm
