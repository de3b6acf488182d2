#include "rsm/cli/train_run.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/output_paths.h"
#include "rsm/data/prompts.h"
#include "rsm/models/loading.h"
#include "rsm/report/report.h"
#include "rsm/train/finetune.h"

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
      std::snprintf(part, sizeof part, " %s %.3g", name.c_str(),
                    value.get<double>());
      out += part;
    }
  }
  return out;
}

std::string context_text(const Finetune& run, const RunOptions& options,
                         double epoch_seconds) {
  auto epochs = static_cast<double>(options.epochs - run.epoch());
  if (options.max_images > 0) {
    const auto images = static_cast<double>(run.spent().images) /
                        static_cast<double>(std::max<int64_t>(run.epoch(), 1));
    epochs = std::min(
        epochs,
        static_cast<double>(options.max_images - run.spent().images) / images);
  }
  double left = epochs * epoch_seconds;
  if (options.max_minutes > 0) {
    left = std::min(left, 60 * options.max_minutes - run.spent().train_seconds);
  }
  return epoch_seconds > 0 ? duration_text(left) + " of training left" : "";
}

/** Epoch by epoch, telling each. Throws Interrupted between two of them. */
void run_epochs(Finetune& run, const RunOptions& options, bool reports,
                TerminalProgress& progress, const std::string& title) {
  const std::string before = title.empty() ? "" : title + " | ";
  double spent = run.spent().train_seconds;
  while (!run.finished()) {
    run.stop_point();
    const auto line = run.run_epoch();
    const double seconds = run.spent().train_seconds - spent;
    spent = run.spent().train_seconds;
    progress.say(epoch_text(line, seconds));
    for (const auto& warning : line["warnings"]) {
      progress.say("  warning: " + warning.get<std::string>());
    }
    progress.set_context(before + context_text(run, options, seconds));
    if (reports && line.contains("eval")) {
      report::write_report(options.folder);
    }
  }
}

}  // namespace

void check_before(const RunOptions& options) {
  require_device(options.device);
  check_output_folder("folder", options.folder);
  load_prompts(options.train_prompts);
  load_prompts(options.eval_prompts);
}

bool train_run(const RunOptions& options, TerminalProgress& progress,
               const std::string& title, Communicator* ranks) {
  const bool reports = ranks == nullptr || ranks->is_first();
  progress.set_context(title);
  check_before(options);
  if (!options.memory_choice.empty()) progress.say(options.memory_choice);
  std::unique_ptr<Finetune> run;
  try {
    run = std::make_unique<Finetune>(options, progress, ranks);
    if (reports) report::write_report(options.folder);
    run_epochs(*run, options, reports, progress, title);
  } catch (const Interrupted&) {
    progress.end();
    // The others may not have heard, and wait for this one.
    if (!run && ranks != nullptr && !ranks->is_sole()) {
      throw Interrupted(
          "stopped before the run began; the same command begins it");
    }
    if (run) {
      run->save();
    }
    progress.say(cat("stopped",
                     run ? cat(" and saved after epoch ", run->epoch()) : "",
                     "; run the same command to go on"));
    return false;
  }
  run->finish();
  if (reports) report::write_report(options.folder);
  return true;
}

}  // namespace rsm
