#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>

#include "rsm/analysis/importance_spread.h"
#include "rsm/analysis/strength_curves.h"
#include "rsm/base/error.h"
#include "rsm/cli/analyze.h"
#include "rsm/cli/model_arguments.h"
#include "rsm/cli/output_paths.h"
#include "rsm/cli/terminal_progress.h"
#include "rsm/data/prompts.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/describe.h"
#include "rsm/methods/profiles.h"
#include "rsm/models/loading.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/rollouts/sampler.h"
#include "rsm/runs/run_options.h"

namespace rsm {
namespace {

/** A word of the methods' list that stands for all that the models have. */
constexpr const char* kAll = "all";

struct StrengthArguments {
  std::string source;  ///< a model folder or a config
  std::vector<std::string> overrides;
  std::vector<std::string> methods;
  int64_t steps = 0;  ///< 0: the config's, or 10
  StrengthOptions options;
  std::string folder = ".";
  std::string moved;  ///< a LoRA; empty: no rollouts
  std::string prompts = "shapes:held_out";
  int64_t paths = 64;
  double share = 1;
  ModelArguments model;  ///< of the rollouts

  bool is_config() const { return !std::filesystem::is_directory(source); }
};

/** Whether a method has a budget for so many steps. */
bool fits(const Method& method, int64_t steps) {
  try {
    fitted(method, steps);
    return true;
  } catch (const UsageError&) {
    return false;
  }
}

/** The methods that a source means beside those that are named. */
std::vector<Method> methods_of(const StrengthArguments& args,
                               const std::optional<Method>& own,
                               Family family) {
  std::vector<Method> out;
  if (own) out.push_back(*own);
  for (const auto& name : args.methods) {
    if (name != kAll) {
      out.push_back(find_method(name));
      continue;
    }
    for (const auto& entry : catalogue()) {
      if (entry.is_for(family) && fits(entry, args.options.steps)) {
        out.push_back(entry);
      }
    }
  }
  if (out.empty()) out.push_back(find_method(default_method(family)));
  return out;
}

/** Reads what the source says into `args`, and returns a config's own method.
 */
std::optional<Method> read_source(StrengthArguments& args) {
  auto& options = args.options;
  options.steps = args.steps > 0 ? args.steps : options.steps;
  args.model.model = args.source;
  if (!args.is_config()) return std::nullopt;
  auto overrides = args.overrides;
  if (args.steps > 0) overrides.push_back(cat("sampling.steps=", args.steps));
  const auto run = read_run_options(Config::load(args.source, overrides));
  options.steps = run.steps;
  const double asked = options.noise.level;
  options.noise = run.noise;
  if (asked > 0) {
    options.noise.level = asked;
    options.noise.levels.clear();
  }
  args.model.model = run.model;
  args.model.guidance_scale = run.guidance_scale;
  args.model.negative_prompt = run.negative_prompt;
  args.model.t5_tokens = run.t5_tokens;
  args.model.no_t5 = !run.t5;
  auto method = run.method;
  method.name = "config (" + method.name + ")";
  return method;
}

std::string range_text(const std::vector<double>& values) {
  std::vector<double> known;
  for (const double value : values) {
    if (std::isfinite(value)) known.push_back(value);
  }
  if (known.empty()) return "none";
  const auto [low, high] = std::minmax_element(known.begin(), known.end());
  char text[64];
  std::snprintf(text, sizeof(text), "%.4g to %.4g", *low, *high);
  return text;
}

void print_curves(const std::vector<StrengthCurve>& curves,
                  const StrengthOptions& options) {
  const bool relative = options.pull == PullForm::relative;
  std::printf("%-28s %-12s  %-24s %s\n", "method", "h(t), 1 to 0", "h",
              relative ? "C2/C1" : "C2");
  for (const auto& curve : curves) {
    std::printf("%-28s [%s]  %-24s %s\n", curve.name.c_str(),
                sparkline(h_of(curve)).c_str(), range_text(h_of(curve)).c_str(),
                range_text(pull_of(curve, options.pull)).c_str());
  }
}

/** A plan of stochastic paths, as the ratio's rows are drawn. */
RolloutPlan paths_plan(const StrengthArguments& args, const Path& path) {
  Method method;
  method.estimator.source = EstimatorKnobs::Source::rollout;
  auto noise = args.options.noise;
  if (noise.level == 0) noise.level = usual_level(noise.kind, path.family());
  return make_plan(method, args.options.steps, noise);
}

/** Paths of the model as it is, and what it says with the LoRA at their
 * states. Both networks are loaded one after the other. */
std::vector<ImportanceSpread> measured_spread(const StrengthArguments& args,
                                              TerminalProgress& progress) {
  const auto all = load_prompts(args.prompts);
  RolloutRequest request;
  for (int64_t i = 0; i < args.paths; ++i) {
    request.prompts.push_back(all[static_cast<size_t>(i % std::ssize(all))]);
  }
  request.run_seed = args.model.seed;
  auto before = args.model;
  before.steps = args.options.steps;
  auto after = before;
  after.lora = args.moved;
  Communicator sole;
  Rollout rollout;
  {
    const auto loaded = load_for_sampling(before, sole);
    loaded.warn_of(texts_of(request.prompts), progress);
    request.latent_shape = loaded.latent_shape;
    request.conditions = loaded.model.text->encode(texts_of(request.prompts));
    const auto plan = paths_plan(args, *loaded.model.path);
    progress.begin("paths", args.paths * plan.evaluations_per_root());
    rollout = roll_out(*loaded.denoiser, *loaded.model.path, plan, request,
                       [&](int64_t done) { progress.update(done, ""); });
    progress.end();
  }
  const auto loaded = load_for_sampling(after, sole);
  const ConditionRows conditions(
      request.conditions, torch::tensor(rollout.state_prompt, at::kLong));
  const auto y = loaded.denoiser->predict(
      rollout.x, times_of(rollout, all_states(rollout)), conditions);
  return importance_spread(rollout, rollout.y + args.share * (y - rollout.y));
}

int analyze_strength(StrengthArguments args) {
  check_output_folder("-o", args.folder);
  const auto own = read_source(args);
  const auto path = load_path(args.model.model);
  const auto curves = strength_curves(methods_of(args, own, path->family()),
                                      *path, args.options);
  std::map<std::string, std::string> files = {
      {"strength.csv", report::table_csv(strength_table(curves, args.options))},
      {"strength-h.svg", report::svg_file(strength_plot(curves, args.options))},
      {"strength-c2.svg", report::svg_file(pull_plot(curves, args.options))}};
  print_curves(curves, args.options);
  if (!args.moved.empty()) {
    TerminalProgress progress;
    const auto steps = measured_spread(args, progress);
    files["importance.csv"] = report::table_csv(importance_table(steps));
    files["importance.svg"] = report::svg_file(importance_plot(steps));
    std::printf("\n%s", report::table_text(importance_table(steps)).c_str());
  }
  write_files(args.folder, files);
  return kDone;
}

}  // namespace

void add_analyze_strength(CLI::App& group, Action& action) {
  auto args = std::make_shared<StrengthArguments>();
  auto* command = group.add_subcommand(
      "strength",
      "How strongly methods act (h), and hold back (C2), at each time.\n"
      "Writes strength.csv, strength-h.svg and strength-c2.svg.\n\n"
      "  rsm analyze strength models/shapes-flow --methods all\n"
      "  rsm analyze strength configs/shapes/demo.yaml --normalise sum\n"
      "  rsm analyze strength models/shapes-flow --moved runs/my-lora/final\n\n"
      "--moved draws paths of the model as it is and weighs them for the model "
      "with that LoRA: importance.csv and importance.svg hold the variance of "
      "the ratio of densities and of 1 + its logarithm by time.\n");
  command
      ->add_option("source", args->source,
                   "a model folder, or a config, whose own method comes first")
      ->required();
  command->add_option("--set", args->overrides,
                      "key=value, replacing a value of the config");
  command
      ->add_option("--methods", args->methods,
                   "entries of `rsm methods`, or all that the model can have")
      ->delimiter(',');
  command
      ->add_option("--steps", args->steps,
                   "sampler steps (default: the config's, or 10)")
      ->check(CLI::Range(2, 1000));
  command
      ->add_option("--noise-level", args->options.noise.level,
                   "of the stochastic steps (default: the config's, or the "
                   "usual one of each method's sampler)")
      ->check(CLI::Range(1e-6, 10.0));
  command
      ->add_option("--pull", args->options.pull,
                   "C2 relative to C1, or absolute")
      ->transform(CLI::CheckedTransformer(std::map<std::string, PullForm>{
          {"relative", PullForm::relative}, {"absolute", PullForm::absolute}}))
      ->option_text("{relative,absolute}=relative");
  command
      ->add_option("--normalise", args->options.normalised,
                   "each curve's max or sum becomes 1; or none")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, Normalised>{{"max", Normalised::max},
                                            {"sum", Normalised::sum},
                                            {"none", Normalised::none}}))
      ->option_text("{max,sum,none}=max");
  command->add_option("-o,--out", args->folder, "folder for the files")
      ->capture_default_str();
  command->add_option("--moved", args->moved,
                      "a LoRA, such as a run's final/: measure importance");
  command
      ->add_option("--share", args->share,
                   "of the way there that outputs go, 0 to 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--prompts", args->prompts, "of --moved's paths")
      ->capture_default_str();
  command->add_option("--paths", args->paths, "how many, prompts in turn")
      ->check(CLI::Range(2, 100000))
      ->capture_default_str();
  command->add_option("--seed", args->model.seed, "of their noise")
      ->capture_default_str();
  command->add_option("--device", args->model.device, "cpu, cuda, cuda:1, ...")
      ->capture_default_str();
  command->add_option("--type", args->model.type, "precision of the network")
      ->check(CLI::IsMember(type_names()))
      ->capture_default_str();
  command->callback(
      [args, &action] { action = [args] { return analyze_strength(*args); }; });
}

}  // namespace rsm
