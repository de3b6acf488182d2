#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>

#include "rsm/base/error.h"
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

/** Work of all processes that the launcher started, or of this one alone. What
 * one of them can't go on from ends them all; rank 0 is given the time to say
 * it, and to finish what it writes, where it meets the same. */
int among_ranks(const std::function<int(Communicator&)>& work) {
  constexpr auto kFirst = std::chrono::seconds(3);
  watch_for_interrupts();
  const auto ranks = join_ranks();
  keep_cores_of_kernels();
  if (ranks->is_sole()) return work(*ranks);
  int status = kFailed;
  std::string failure;
  try {
    status = work(*ranks);
    ranks->leave();
    return status;
  } catch (const UsageError& error) {
    status = kUsage;
    failure = error.what();
  } catch (...) {
    failure = failure_text();
  }
  if (!ranks->is_first()) std::this_thread::sleep_for(kFirst);
  std::fprintf(stderr, "rsm: rank %lld: %s\n",
               static_cast<long long>(ranks->rank()), failure.c_str());
  ranks->abort(status);
  return status;
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
      return among_ranks([&](Communicator& ranks) {
        auto options = read_run_options(
            args->load(), ranks.is_sole() ? 0 : threads_of_rank(ranks));
        take_device(ranks, options);
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
