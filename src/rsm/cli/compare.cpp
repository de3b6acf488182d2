#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/print_comparison.h"
#include "rsm/compare/comparison_data.h"
#include "rsm/compare/comparison_page.h"
#include "rsm/compare/comparison_tables.h"

namespace rsm {
namespace {

struct CompareArguments : report::ComparisonOptions {
  std::vector<std::string> runs;
  std::string output;
  bool json = false;
};

/** A single folder holds its comparison; several have no common place. */
std::string output_folder(const CompareArguments& args) {
  if (!args.output.empty()) return args.output;
  return args.runs.size() == 1 ? args.runs.front() : ".";
}

}  // namespace

int print_comparison(const std::vector<std::string>& runs,
                     const report::ComparisonOptions& options,
                     const std::string& output, bool json) {
  check_output_folder("-o", output);
  const auto comparison =
      report::compare_runs(report::read_compared_runs(runs), options);
  const auto files = report::write_comparison(comparison, output);
  if (json) {
    std::printf("%s\n", report::to_json(comparison).dump(2).c_str());
  } else {
    std::printf("%s\n%s\n", report::comparison_text(comparison).c_str(),
                join(files, "\n").c_str());
  }
  return kDone;
}

void add_compare(CLI::App& app, Action& action) {
  auto args = std::make_shared<CompareArguments>();
  auto* command = app.add_subcommand(
      "compare",
      "Compare runs: scores, cost and time to a target, as a table, a page and "
      "plots.\n"
      "Runs whose configs differ in their seed only are one setting. Writes "
      "compare.html, compare.csv, curves.csv and SVG files.\n\n"
      "  rsm compare runs/sweep                    all runs below a folder\n"
      "  rsm compare runs/a runs/b --output ab     these two\n"
      "  rsm compare runs/sweep --target 0.5 --baseline \"ratio form\"\n"
      "  rsm compare runs/sweep --json > table.json\n");
  command->add_option("runs", args->runs, "run folders, or folders of them")
      ->required();
  command->add_option("-o,--output", args->output,
                      "folder for the files (default: the one folder given, "
                      "or the current one)");
  command->add_option("--metric", args->metric,
                      "score to compare (default: the runs' main one)");
  command->add_option("--target", args->target,
                      "score whose time is asked for (default: halfway from "
                      "the start to the best)");
  command->add_option("--kl", args->kl,
                      "drift at which scores are compared (default: the "
                      "smallest of the runs' last)");
  command->add_option("--baseline", args->baseline,
                      "setting that others are sooner than (default: the "
                      "slowest to the target)");
  command->add_flag("--json", args->json, "print the table as JSON");
  command->callback([args, &action] {
    action = [args] {
      return print_comparison(args->runs, *args, output_folder(*args),
                              args->json);
    };
  });
}

}  // namespace rsm
