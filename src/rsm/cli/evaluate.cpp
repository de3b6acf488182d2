#include <cstdio>

#include "rsm/cli/commands.h"
#include "rsm/cli/model_arguments.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/data/prompts.h"
#include "rsm/rewards/rewards.h"
#include "rsm/rewards/weighted_reward.h"
#include "rsm/train/evaluation.h"

namespace rsm {
namespace {

struct EvaluateArguments : ModelArguments {
  std::string prompts = "shapes:held_out";
  std::string reward = "shapes";
  int64_t images = 612;
  bool json = false;
};

void print_table(const Evaluation& evaluation) {
  std::vector<std::string> metrics;
  std::printf("%-16s %7s", "", "images");
  for (const auto& [name, mean] : evaluation.means) {
    metrics.push_back(name);
    std::printf(" %9s", name.c_str());
  }
  std::printf("\n");
  const auto row = [&](const std::string& label, double images,
                       const MetricMeans& means) {
    std::printf("%-16s %7.0f", label.c_str(), images);
    for (const auto& metric : metrics) {
      const auto found = means.find(metric);
      if (found == means.end()) {
        std::printf(" %9s", "");
      } else {
        std::printf(" %9.4g", found->second);
      }
    }
    std::printf("\n");
  };
  for (const auto& [category, means] : evaluation.by_category) {
    row(category, means.at("images"), means);
  }
  row("all", static_cast<double>(evaluation.images.size(0)), evaluation.means);
}

int run_evaluation(const EvaluateArguments& args) {
  const auto loaded = load_for_sampling(args);
  auto set =
      make_evaluation_set(load_prompts(args.prompts), args.images, args.seed);
  set.latent_shape = loaded.model.latent_shape();
  set.conditions = loaded.conditions(texts_of(set.prompts));
  const auto reward = make_reward(args.reward);
  reward->check();
  TerminalProgress progress;
  progress.begin("evaluation", set.size());
  const auto evaluation =
      evaluate(*loaded.denoiser, *loaded.model.path, loaded.times, set, *reward,
               [&](int64_t done) { progress.update(done, ""); });
  progress.end();
  for (const auto& text : suspicious(evaluation.scores)) {
    progress.say("warning: " + text);
  }
  if (args.json) {
    std::printf("%s\n", to_json(evaluation).dump().c_str());
  } else {
    print_table(evaluation);
  }
  return kDone;
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto args = std::make_shared<EvaluateArguments>();
  auto* command = app.add_subcommand(
      "evaluate",
      "Score a model on prompts, by category, with fixed noise.\n\n"
      "  rsm evaluate models/shapes-flow\n"
      "  rsm evaluate models/shapes-flow --lora runs/my-lora/final --json\n");
  args->add_to(*command);
  command
      ->add_option("--prompts", args->prompts,
                   "shapes:held_out, shapes:train, shapes:all or a file")
      ->capture_default_str();
  command->add_option("--reward", args->reward, "the judge")
      ->capture_default_str();
  command
      ->add_option("--images", args->images,
                   "pictures in all, equally many of each category")
      ->check(CLI::Range(1, 10000000))
      ->capture_default_str();
  command->add_flag("--json", args->json, "print the scores as JSON");
  command->callback(
      [args, &action] { action = [args] { return run_evaluation(*args); }; });
}

}  // namespace rsm
