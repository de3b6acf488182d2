#include "rsm/train/finetune.h"

#include <cstdio>

#include "rsm/cli/commands.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/io/config.h"
#include "rsm/io/run_log.h"
#include "rsm/report/report.h"
#include "rsm/report/run_summary.h"

namespace rsm {
namespace {

/** One line an epoch, for people. */
std::string epoch_text(const nlohmann::json& line, double epoch_seconds) {
  char text[256];
  std::snprintf(text, sizeof text,
                "epoch %lld  reward %.3f  clipped %.0f %%  kl %.2g  dead "
                "groups %lld/%lld  %.1f s",
                line["epoch"].get<long long>(), line["reward"].get<double>(),
                100 * line["clip_fraction"].get<double>(),
                line["kl"].get<double>(), line["dead_groups"].get<long long>(),
                line["groups"].get<long long>(), epoch_seconds);
  std::string out = text;
  if (line.contains("eval")) {
    out += "  held-out";
    for (const auto& [name, value] : line["eval"]["metrics"].items()) {
      char part[64];
      std::snprintf(part, sizeof part, " %s %.3f", name.c_str(),
                    value.get<double>());
      out += part;
    }
  }
  return out;
}

std::string context_text(const Finetune& run, const RunOptions& options,
                         double epoch_seconds) {
  double left =
      static_cast<double>(options.epochs - run.epoch()) * epoch_seconds;
  if (options.max_minutes > 0) {
    left = std::min(left, 60 * options.max_minutes - run.spent().train_seconds);
  }
  return epoch_seconds > 0 ? duration_text(left) + " of training left" : "";
}

int finetune(const RunOptions& options, bool json) {
  TerminalProgress progress;
  watch_for_interrupts();
  Finetune run(options, progress);
  write_report(options.folder);
  double before = run.spent().train_seconds;
  while (!run.finished() && !interrupted()) {
    const auto line = run.run_epoch();
    const double seconds = run.spent().train_seconds - before;
    before = run.spent().train_seconds;
    progress.say(epoch_text(line, seconds));
    for (const auto& warning : line["warnings"]) {
      progress.say("  warning: " + warning.get<std::string>());
    }
    progress.set_context(context_text(run, options, seconds));
    if (line.contains("eval")) {
      write_report(options.folder);
    }
  }
  if (!run.finished()) {
    run.save();
    progress.say("stopped and saved; run the same command to go on");
    return kFailed;
  }
  run.finish();
  write_report(options.folder);
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
  struct Arguments {
    std::string config;
    std::vector<std::string> overrides;
    bool json = false;
  };
  auto args = std::make_shared<Arguments>();
  auto* command = app.add_subcommand(
      "finetune",
      "Fine-tune a model towards a reward and write a report.\n"
      "Running the same command again continues an unfinished run; Ctrl-C "
      "finishes the epoch and saves.\n\n"
      "  rsm finetune configs/shapes/demo.yaml\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=guard "
      "--set method.strength.shape=sigma\n"
      "  rsm finetune configs/shapes/demo.yaml --set name=long "
      "--set train.epochs=200\n");
  command->add_option("config", args->config, "a YAML file")->required();
  command->add_option("--set", args->overrides,
                      "key=value, replacing a value of the config");
  command->add_flag("--json", args->json,
                    "print the last line of the run log instead of a summary");
  command->callback([args, &action] {
    action = [args] {
      return finetune(
          read_run_options(Config::load(args->config, args->overrides)),
          args->json);
    };
  });
}

}  // namespace rsm
