#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "rsm/analysis/estimator_error.h"
#include "rsm/analysis/estimator_tables.h"
#include "rsm/base/error.h"
#include "rsm/cli/analyze.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/plot/text_table.h"

namespace rsm {
namespace {

/** K with --full, as in the paper. */
constexpr int64_t kFullSamples = 65536;

/** Words of --policy, as in the files. */
const std::string kTilted = to_string(ToyPolicy::tilted);
const std::string kReference = to_string(ToyPolicy::reference);

struct EstimatorsArguments : EstimatorErrorOptions {
  std::vector<std::string> of = {kTilted};  ///< policies
  std::string folder;                       ///< empty: nothing is written
  bool full = false;
  bool learnt = false;
  bool csv = false;
};

int analyze_estimators(EstimatorsArguments args) {
  if (args.full) args.samples = kFullSamples;
  if (args.learnt) args.learning = NoiseLearning{.seed = args.seed};
  if (!args.folder.empty()) check_output_folder("-o", args.folder);
  args.policies.clear();
  for (const auto& word : args.of) {
    args.policies.push_back(word == kTilted ? ToyPolicy::tilted
                                            : ToyPolicy::reference);
  }
  TerminalProgress progress;
  const auto errors = estimator_errors(args, progress);
  std::printf("%s", (args.csv ? report::table_csv(estimator_rows(errors))
                              : estimator_text(errors))
                        .c_str());
  if (args.folder.empty()) return kDone;
  const auto files = write_estimator_errors(errors, args.folder);
  if (!args.csv) std::printf("%s\n", join(files, "\n").c_str());
  return kDone;
}

/** What is measured, and how finely. */
void add_options(CLI::App& command, EstimatorsArguments& args) {
  command
      .add_option("--policy", args.of,
                  "whose paths: the exact optimum's (tilted), or the model's "
                  "before training (ref)")
      ->delimiter(',')
      ->check(CLI::IsMember({kTilted, kReference}))
      ->capture_default_str();
  command
      .add_option("--timestep", args.timesteps,
                  "of 500, from 79 to 499, ending in 9")
      ->delimiter(',')
      ->capture_default_str();
  command
      .add_option("--lookahead", args.lookaheads,
                  "depths: paths end at this share of the timestep, 0 or more "
                  "and below 1")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--points", args.points, "states at each timestep")
      ->capture_default_str();
  command
      .add_option("--samples", args.samples,
                  "the largest K: a power of 2 from 16 on")
      ->capture_default_str();
  command.add_flag("--full", args.full, "K to 65536, in place of --samples");
  command
      .add_option("--repeats", args.repeats,
                  "estimates with the largest K, 2 or more")
      ->capture_default_str();
  command.add_option("--seed", args.seed, "of all noise")
      ->capture_default_str();
  command
      .add_option("--threads", args.threads,
                  "states at once; changes no number")
      ->check(CLI::Range(1, 1024));
  command.add_flag("--learnt", args.learnt,
                   "scores of a network that is trained first, in place of "
                   "exact ones");
}

}  // namespace

void add_analyze_estimators(CLI::App& group, Action& action) {
  auto args = std::make_shared<EstimatorsArguments>();
  args->threads = std::max<int64_t>(1, std::thread::hardware_concurrency());
  auto* command = group.add_subcommand(
      "estimators",
      "How far estimates of the value gradient are from the truth.\n"
      "In a world in two dimensions where all is known in closed form (figure "
      "2 of arXiv 2604.17415): PPO, GRPO, lookahead of both orders, DPS, "
      "SQDF, mixed SDE and ODE, and trees, by samples and by network "
      "evaluations. What is measured is what training runs: the sampler's "
      "rollouts and the loss's gradient.\n"
      "Writes estimators.csv, estimators.txt and SVG files into --out.\n\n"
      "  rsm analyze estimators --out runs/estimators\n"
      "  rsm analyze estimators --points 10 --samples 1024     in seconds\n"
      "  rsm analyze estimators --policy ref --timestep 149 --csv\n\n"
      "Reading it: an error that falls by 1/2 in log2 for each doubling of K "
      "is noise, and more samples help; one that stays is bias, and they do "
      "not. ZERO, whose estimate is 0, is what any estimator must beat.\n");
  command->add_option("-o,--out", args->folder,
                      "folder for the files (default: only the table is "
                      "printed)");
  add_options(*command, *args);
  command->add_flag("--csv", args->csv, "print estimators.csv, not the table");
  command->callback([args, &action] {
    action = [args] { return analyze_estimators(*args); };
  });
}

}  // namespace rsm
