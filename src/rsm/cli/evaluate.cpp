#include <cstdio>

#include "rsm/base/error.h"
#include "rsm/cli/among_ranks.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/model_arguments.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/data/prompts.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/loading.h"
#include "rsm/runs/evaluation.h"
#include "rsm/runs/ranks.h"

namespace rsm {
namespace {

struct EvaluateArguments : ModelArguments {
  std::string prompts = "shapes:held_out";
  std::string reward = "shapes";
  int64_t images = 612;
  PictureMetricPaths beside;
  bool json = false;
};

void print_row(const std::string& label, const std::string& images,
               const MetricNumbers& columns, const MetricNumbers& numbers) {
  std::printf("%-16s %7s", label.c_str(), images.c_str());
  for (const auto& [metric, mean] : columns) {
    const auto found = numbers.find(metric);
    if (found == numbers.end()) {
      std::printf(" %9s", "");
    } else {
      std::printf(" %9.4g", found->second);
    }
  }
  std::printf("\n");
}

void print_table(const Evaluation& evaluation) {
  const auto& columns = evaluation.all.means;
  std::printf("%-16s %7s", "", "images");
  for (const auto& [name, mean] : columns) std::printf(" %9s", name.c_str());
  std::printf("\n");
  for (const auto& [category, scores] : evaluation.by_category) {
    print_row(category, cat(scores.images), columns, scores.means);
  }
  print_row("all", cat(evaluation.all.images), columns, columns);
  MetricNumbers errors;
  for (const auto& [name, error] : evaluation.all.errors) {
    errors[name] = error.standard;
  }
  print_row("standard error", "", columns, errors);
}

int run_evaluation(const EvaluateArguments& args, Communicator& ranks) {
  const auto prompts = load_prompts(args.prompts);
  TerminalProgress progress(/*is_silent=*/!ranks.is_first());
  const auto device = device_of_rank(ranks, device_named(args.device));
  RewardSpec spec;
  spec.name = args.reward;
  spec.device = device.str();
  const auto reward = make_any_reward(spec, progress);
  reward->check();
  std::unique_ptr<const PictureMetrics> beside;
  if (!args.beside.given().empty()) {
    beside = std::make_unique<PictureMetrics>(args.beside, device);
  }
  const auto loaded = load_for_sampling(args, ranks);
  auto set = make_evaluation_set(prompts, args.images, args.seed);
  set.latent_shape = loaded.latent_shape;
  reward->check_inputs(set.prompts, loaded.height(), loaded.width());
  loaded.warn_of(texts_of(set.prompts), progress);
  progress.begin("evaluation", set.size());
  const auto evaluation = evaluate(
      *loaded.denoiser,
      {*loaded.model.text, *loaded.model.path, *loaded.model.decoder,
       loaded.times, loaded.solving},
      set, *reward, [&](int64_t done) { progress.update(done, ""); },
      beside.get(), &ranks);
  progress.end();
  if (!ranks.is_first()) return kDone;
  for (const auto& text : evaluation.warnings) {
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
      "  rsm evaluate models/shapes-flow --lora runs/my-lora/final --json\n"
      "  mpirun -n 4 --bind-to none rsm evaluate models/shapes-flow\n");
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
  command->add_option("--features", args->beside.features,
                      "a CLIP or a TorchScript file: measure how much pictures "
                      "of a prompt differ in its features");
  command->add_option("--niqe", args->beside.niqe,
                      "niqe_image_params.mat: measure NIQE");
  command->add_option("--brisque", args->beside.brisque,
                      "brisque_model_live.yml: measure BRISQUE");
  command->add_flag("--json", args->json, "print the scores as JSON");
  command->callback([args, &action] {
    action = [args] {
      return among_ranks(
          [&](Communicator& ranks) { return run_evaluation(*args, ranks); });
    };
  });
}

}  // namespace rsm
