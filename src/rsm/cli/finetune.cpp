#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/cli/among_ranks.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/cli/train_run.h"
#include "rsm/io/run_log.h"
#include "rsm/report/run_summary.h"
#include "rsm/runs/ranks.h"
#include "rsm/runs/run_origin.h"

namespace rsm {
namespace {

int finetune(const RunOptions& options, bool json, Communicator& ranks) {
  TerminalProgress progress(/*is_silent=*/!ranks.is_first());
  if (!train_run(options, progress, "", &ranks)) {
    return stopped_status();
  }
  if (!ranks.is_first()) return kDone;
  if (!ranks.is_sole()) {
    progress.say(cat("rank 0 of ", ranks.size(), " sent ",
                     ranks.bytes_sent() >> 20, " MiB to the others"));
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
      "Under mpirun or srun its processes (ranks) share the work, for the same "
      "numbers (docs/cluster.md).\n"
      "Running the same command again continues an unfinished run; Ctrl-C, "
      "SIGTERM and SIGUSR1\nsave what is whole and end it, the latter two with "
      "status 75.\n\n"
      "  rsm finetune configs/shapes/demo.yaml\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=even "
      "--set method.strength.shape=constant\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=long "
      "--set train.epochs=200 --set train.max_minutes=0\n"
      "  mpirun -n 4 --bind-to none rsm finetune configs/shapes/demo.yaml\n"
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
      watch_for_interrupts();
      return among_ranks([&](Communicator& ranks) {
        auto options = read_run_options(
            args->load(), ranks.is_sole() ? 0 : threads_of_rank(ranks));
        take_devices(ranks, options);
        ranks.set_timeout(options.rank_timeout);
        if (!args->from.empty()) {
          if (ranks.is_first()) {
            begin_from(options, args->from, args->from_epoch);
          }
          ranks.barrier();
        }
        return finetune(options, args->json, ranks);
      });
    };
  });
}

}  // namespace rsm
