#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/cli/commands.h"
#include "rsm/cli/config_arguments.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/runs/forecast.h"
#include "rsm/runs/memory_advice.h"
#include "rsm/runs/memory_forecast.h"
#include "rsm/runs/memory_plan.h"
#include "rsm/runs/rank_forecast.h"

namespace rsm {
namespace {

constexpr double kMiB = 1 << 20;

struct CheckArguments : ConfigArguments {
  bool quick = false;
  bool json = false;
  int64_t ranks = 1;
};

nlohmann::json to_json(const Forecast& f) {
  return {{"roots", f.roots},
          {"images", f.images},
          {"groups", f.groups},
          {"rows", f.rows},
          {"states", f.states},
          {"updates", f.updates},
          {"states_an_update", {f.smallest_update, f.largest_update}},
          {"evaluations",
           {{"rollout", f.evaluations.rollout},
            {"guidance", f.evaluations.guidance},
            {"old", f.evaluations.old},
            {"reference", f.evaluations.reference},
            {"update", f.evaluations.update},
            {"sum", f.evaluations.sum()}}},
          {"update_is_exact", f.update_is_exact}};
}

nlohmann::json to_json(const EpochCost& cost) {
  return {{"epoch_seconds", cost.epoch_seconds()},
          {"rollout_seconds", cost.rollout_seconds},
          {"reward_seconds", cost.reward_seconds},
          {"old_seconds", cost.old_seconds},
          {"update_seconds", cost.update_seconds},
          {"evaluation_seconds", cost.evaluation_seconds}};
}

void print_forecast(const RunOptions& o, const Forecast& f) {
  const auto number = [](int64_t n) { return static_cast<long long>(n); };
  std::printf("an epoch of %s with %s:\n", o.name.c_str(),
              o.method.name.c_str());
  std::printf(
      "  %lld prompts x %lld samples = %lld roots -> %lld pictures, "
      "%lld rows in %lld groups\n",
      number(o.prompts_per_epoch), number(o.samples_per_prompt),
      number(f.roots), number(f.images), number(f.rows), number(f.groups));
  std::printf("  %lld states in %lld updates of %lld%s\n", number(f.states),
              number(f.updates), number(f.smallest_update),
              f.largest_update == f.smallest_update
                  ? ""
                  : cat(" to ", f.largest_update).c_str());
  std::printf(
      "  network evaluations: rollout %lld, %sold %lld, reference %lld, "
      "update %s%lld\n",
      number(f.evaluations.rollout),
      f.evaluations.guidance == 0
          ? ""
          : cat("guidance ", f.evaluations.guidance, ", ").c_str(),
      number(f.evaluations.old), number(f.evaluations.reference),
      f.update_is_exact ? "" : "at most ", number(f.evaluations.update));
}

/** Which samples the reference pulls at, and which reference; "" where it is
 * the model before training, at all. */
std::string pull_text(const RegularisationKnobs& knobs) {
  std::vector<std::string> parts;
  if (knobs.gate.is_on()) {
    parts.push_back(cat("pulls at the most suspicious ", knobs.gate.share,
                        " of suspicious samples alone, later at ",
                        knobs.gate.least, " to ", knobs.gate.most));
  }
  if (knobs.reset.kl > 0) {
    parts.push_back(
        cat("becomes the policy where that is farther than ", knobs.reset.kl));
  }
  if (knobs.reset.every > 0) {
    parts.push_back(cat("becomes the policy after ", knobs.reset.every,
                        " epochs with one"));
  }
  return parts.empty() ? "" : "the reference " + join(parts, ", ");
}

nlohmann::json to_json(const MemoryForecast& memory) {
  nlohmann::json stations = nlohmann::json::object();
  for (const auto& station : memory.stations) {
    stations[station.name] = station.bytes / kMiB;
  }
  return {{"peak_mb", memory.peak() / kMiB}, {"stations_mb", stations}};
}

void print_memory(const RunOptions& o, const MemoryForecast& memory) {
  if (!o.memory_choice.empty()) {
    std::printf("  %s\n", o.memory_choice.c_str());
  }
  std::printf("  peak memory%s, counted: about %.0f MiB, by %s\n",
              o.device.is_cpu() ? "" : " of the GPU", memory.peak() / kMiB,
              memory.fullest().name.c_str());
}

void print_cost(const RunOptions& o, const Forecast& f, const EpochCost& cost) {
  std::printf("on this machine, from a few timed evaluations:\n");
  std::printf(
      "  %.1f s an epoch (rollout %.1f, reward %.1f, old and reference "
      "%.1f, update %.1f)\n",
      cost.epoch_seconds(), cost.rollout_seconds, cost.reward_seconds,
      cost.old_seconds, cost.update_seconds);
  const double epochs = expected_epochs(o, f, cost);
  std::printf(
      "  %.0f epochs: about %.1f minutes of training, and %.0f s for "
      "each held-out evaluation\n",
      epochs, epochs * cost.epoch_seconds() / 60, cost.evaluation_seconds);
}

/** Of a target whose choices the config makes itself. */
void add_memory(const RunOptions& o, const MemoryForecast& memory,
                std::vector<Advice>& advice) {
  if (o.memory.empty() || memory.peak() <= memory_size(o.memory)) return;
  const auto& most = memory.fullest();
  advice.push_back({"compute.memory",
                    cat(o.memory, ", and ", most.name, " takes about ",
                        size_text(most.bytes), "; lower it by ", most.keys)});
}

void print_advice(const std::vector<Advice>& advice) {
  if (advice.empty()) {
    std::printf("everything adds up\n");
    return;
  }
  std::printf("does not add up:\n");
  for (const auto& one : advice) {
    std::printf("  %s: %s\n", one.key.c_str(), one.text.c_str());
  }
}

/** Says of prompts that the model's tokenizer cuts. */
void add_truncation(const TextEncoders& encoders, const std::string& key,
                    const std::vector<std::string>& prompts,
                    std::vector<Advice>& advice) {
  const auto text = truncation_warning(encoders, prompts, "prompts");
  if (!text.empty()) advice.push_back({key, text});
}

/** Says of pictures or prompts that the reward does not judge. */
void add_unjudged(const RunOptions& options, const Prompts& prompts,
                  const std::vector<int64_t>& picture,
                  std::vector<Advice>& advice) {
  try {
    make_any_rewards(options.rewards, NoProgress())
        ->check_inputs(prompts, picture[0], picture[1]);
  } catch (const Error& error) {
    advice.push_back(
        {options.rewards.size() > 1 ? "rewards" : "reward", error.what()});
  }
}

int check_config(const CheckArguments& args) {
  const auto options = read_run_options(args.load());
  const auto text = check_model(options.model, options.model_options().text);
  const auto counted = forecast(options);
  const auto train_prompts = load_prompts(options.train_prompts);
  const auto eval_prompts = load_prompts(options.eval_prompts);
  auto advice = advise(options, counted, train_prompts, eval_prompts);
  add_truncation(*text, "prompts.train", texts_of(train_prompts), advice);
  add_truncation(*text, "evaluation.prompts", texts_of(eval_prompts), advice);
  add_truncation(*text, "sampling.negative_prompt", {options.negative_prompt},
                 advice);
  const MemoryCount count(options);
  auto all_prompts = train_prompts;
  all_prompts.insert(all_prompts.end(), eval_prompts.begin(),
                     eval_prompts.end());
  add_unjudged(options, all_prompts, count.picture(), advice);
  const auto memory = count.of(options);
  add_memory(options, memory, advice);
  nlohmann::json out = to_json(counted);
  out["memory"] = to_json(memory);
  out["memory"]["chosen"] = options.memory_choice;
  out["warnings"] = options.warnings;
  const auto pull = pull_text(options.method.regularisation);
  out["reference"] = pull;
  if (!args.json) {
    print_forecast(options, counted);
    if (!pull.empty()) std::printf("  %s\n", pull.c_str());
    print_memory(options, memory);
    for (const auto& warning : options.warnings) {
      std::printf("  warning: %s\n", warning.c_str());
    }
  }
  std::optional<EpochCost> cost;
  if (!args.quick) {
    require_device(options.device);
    cost = measure_cost(options, counted);
    out["cost"] = to_json(*cost);
    for (const auto& one : advise_on_time(options, counted, *cost)) {
      advice.push_back(one);
    }
    if (!args.json) {
      print_cost(options, counted, *cost);
    }
  }
  if (args.ranks > 1) {
    const auto shared = rank_forecast(
        options, counted, {count.trained_numbers(), count.latent_numbers()},
        args.ranks, cost);
    out["ranks"] = to_json(shared);
    if (!args.json) std::printf("%s", to_text(shared).c_str());
  }
  out["advice"] = nlohmann::json::array();
  for (const auto& one : advice) {
    out["advice"].push_back({{"key", one.key}, {"text", one.text}});
  }
  if (args.json) {
    std::printf("%s\n", out.dump(2).c_str());
  } else {
    print_advice(advice);
  }
  return kDone;
}

}  // namespace

void add_check(CLI::App& app, Action& action) {
  auto args = std::make_shared<CheckArguments>();
  auto* command = app.add_subcommand(
      "check",
      "Say what a run will do before it does: pictures, rows, updates, network "
      "evaluations, seconds, memory, and what does not add up.\n\n"
      "  rsm check configs/shapes/demo.yaml\n"
      "  rsm check configs/shapes/demo.yaml --set prompts.per_epoch=40\n"
      "  rsm check configs/shapes/demo.yaml --quick --json\n"
      "  rsm check configs/shapes/demo.yaml --quick --ranks 8\n");
  args->add_to(*command);
  command->add_flag("--quick", args->quick,
                    "count and look into the model folder's configs only: no "
                    "weights are loaded, nothing is timed");
  command->add_flag("--json", args->json, "for machines");
  command
      ->add_option("--ranks", args->ranks,
                   "also for so many processes under mpirun or srun: what "
                   "divides, what they send, and how fast that may be")
      ->check(CLI::Range(int64_t{1}, int64_t{100000}));
  command->callback(
      [args, &action] { action = [args] { return check_config(*args); }; });
}

}  // namespace rsm
