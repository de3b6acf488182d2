#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"
#include "rsm/verify/report.h"

namespace rsm {
namespace {

struct VerifyArguments {
  std::vector<std::string> methods;
  std::vector<std::string> returns = {"hard"};
  double alpha = 1;
  verify::Budget budget;
  std::string output;
  bool json = false;
};

int verify_methods(const VerifyArguments& args) {
  if (!args.output.empty()) check_output_folder("--out", args.output);
  watch_for_interrupts();
  TerminalProgress progress;
  std::vector<EstimatorKnobs::Return> returns;
  for (const auto& word : args.returns) {
    returns.push_back(parse<EstimatorKnobs::Return>(word));
  }
  const auto report = verify::verify(
      args.methods, args.alpha, args.budget, progress, returns,
      [&](const verify::Report& so_far, const verify::Verification& latest) {
        progress.say(verify::line_of(latest));
        if (!args.output.empty()) verify::write_numbers(so_far, args.output);
      });
  std::vector<std::string> files;
  if (!args.output.empty()) files = verify::write_report(report, args.output);
  if (args.json) {
    std::printf("%s\n", verify::to_json(report).dump(2).c_str());
  } else {
    std::printf("%s", verify::text_of(report).c_str());
    if (!files.empty()) {
      std::printf("\n%s and %zu plots of densities\n", files[0].c_str(),
                  files.size() - 1);
    }
  }
  return kDone;
}

}  // namespace

void add_verify(CLI::App& app, Action& action) {
  auto args = std::make_shared<VerifyArguments>();
  auto* command = app.add_subcommand(
      "verify",
      "Train methods where the exact answer is known, and measure how near "
      "they come.\n"
      "A method that weighs reward against drift by alpha should end at the "
      "model's density times e^(reward / alpha). Here that is known: one "
      "normal density on a line and three in the plane, rewards that are "
      "linear, quadratic and a step without a derivative. Each method trains "
      "a small network by the engine that trains pictures, rewards as they "
      "come, and is exact, biased, or failed; beside it stands what theory "
      "knows of it.\n\n"
      "  rsm verify                          every method of the catalogue\n"
      "  rsm verify " +
          default_method(Family::flow) +
          "                 one, or several, by name\n"
          "  rsm verify " +
          default_method(Family::flow) +
          " --alpha 0.5 --out verified\n"
          "  rsm verify --json > verify.json\n");
  command->add_option("methods", args->methods,
                      "methods of the catalogue (default: all)");
  command
      ->add_option("--alpha", args->alpha,
                   "reward that one unit of KL is worth")
      ->check(CLI::Range(1e-3, 1e3))
      ->capture_default_str();
  command
      ->add_option("--return", args->returns,
                   "what methods aim at (method.estimator.return), one after "
                   "the other; without names those that can")
      ->delimiter(',')
      ->check(CLI::IsMember(words<EstimatorKnobs::Return>()))
      ->capture_default_str();
  command->add_option("--epochs", args->budget.epochs, "updates of each")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command
      ->add_option("--pictures", args->budget.pictures,
                   "points drawn for an update, about")
      ->check(CLI::Range(2, 1000000))
      ->capture_default_str();
  command->add_option("--points", args->budget.points, "points measured")
      ->check(CLI::Range(32, 1000000))
      ->capture_default_str();
  command->add_option("--lr", args->budget.lr, "AdamW's, falling to 0")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--seed", args->budget.seed, "of all random numbers")
      ->capture_default_str();
  command
      ->add_option("--threads", args->budget.threads,
                   "methods at once, a core each")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("-o,--out", args->output,
                      "folder for verify.json and plots of the densities");
  command->add_flag("--json", args->json, "print what was measured as JSON");
  command->callback(
      [args, &action] { action = [args] { return verify_methods(*args); }; });
}

}  // namespace rsm
