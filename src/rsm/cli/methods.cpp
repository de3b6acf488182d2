#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/cli/commands.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/describe.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

struct MethodsArguments {
  std::string name;
  bool as_published = false;
  bool json = false;
  bool markdown = false;
};

/** A number of the table; what is infinite is null. */
std::string cell(const nlohmann::json& value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%10.4g",
                value.is_null() ? INFINITY : value.get<double>());
  return text;
}

void print_method(const Method& method) {
  const auto about = described(method);
  std::printf("%s: %s\n  source: %s\n  models: %s\n", method.name.c_str(),
              method.summary.c_str(), method.source.c_str(),
              to_string(method.family).c_str());
  for (const auto& note : about["notes"]) {
    std::printf("  note: %s\n", note.get<std::string>().c_str());
  }
  for (const char* knobs : {"estimator", "strength", "regularisation"}) {
    std::printf("  %s:\n", knobs);
    for (const auto& [key, value] : about[knobs].items()) {
      std::printf("    %s: %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str()
                                    : value.dump().c_str());
    }
  }
  std::printf("\n  %4s  %6s  %3s %10s %10s %10s %10s %10s %10s\n", "step", "t",
              "K", "g", "h", "C1", "gamma", "C2", "clip");
  for (const auto& row : about["by_time"]) {
    std::printf("  %4lld  %.4f  %3lld", row["step"].get<long long>(),
                row["t"].get<double>(), row["K"].get<long long>());
    for (const char* key : {"g", "h", "C1", "gamma", "C2", "clip_log_ratio"}) {
      std::printf(" %s", cell(row[key]).c_str());
    }
    std::printf("\n");
  }
  std::printf(
      "\n  clip: where |log rho| of a step is cut, by latent element\n");
}

void print_list(const std::vector<Method>& methods) {
  const auto print_those = [&](auto belongs) {
    for (const auto& method : methods) {
      if (!belongs(method.estimator)) continue;
      std::printf("%-21s [%s]  %-9s  %s\n", method.name.c_str(),
                  sparkline(shown_h(method)).c_str(),
                  to_string(method.family).c_str(), method.summary.c_str());
    }
  };
  std::printf("%-21s %-12s  %-9s\n", "method", "h(t), 1 to 0", "models");
  std::printf("\nzeroth order: rewards' values alone\n");
  print_those([](const EstimatorKnobs& knobs) {
    return !knobs.needs_gradients() && !knobs.is_of_pictures();
  });
  std::printf("\npictures: the same, on samples that are noised again\n");
  print_those([](const EstimatorKnobs& knobs) {
    return knobs.is_of_pictures() && !knobs.needs_gradients();
  });
  std::printf("\nfirst order: along the gradient of a differentiable reward\n");
  print_those(
      [](const EstimatorKnobs& knobs) { return knobs.needs_gradients(); });
  std::printf("\nrsm methods NAME shows one with its knobs, time by time.\n");
}

int list_methods(const MethodsArguments& args) {
  if (args.markdown) {
    std::printf("%s", join(docs_tables(), "\n").c_str());
    return kDone;
  }
  auto methods = catalogue();
  if (!args.name.empty()) methods = {find_method(args.name)};
  for (auto& method : methods) {
    method = find_method(method.name, args.as_published);
  }
  if (args.json) {
    nlohmann::json out;
    for (const auto& method : methods) {
      out["methods"].push_back(described(method));
    }
    std::printf("%s\n", out.dump(2).c_str());
  } else if (args.name.empty()) {
    print_list(methods);
  } else {
    print_method(methods[0]);
  }
  return kDone;
}

}  // namespace

void add_methods(CLI::App& app, Action& action) {
  auto args = std::make_shared<MethodsArguments>();
  auto* command = app.add_subcommand(
      "methods",
      "List the methods, or show one: its three knobs and how strongly it acts "
      "at each time of ten steps.\n\n"
      "  rsm methods\n"
      "  rsm methods " +
          default_method(Family::flow) + "\n  rsm methods --json\n");
  command->add_option("name", args->name, "one method");
  command->add_flag("--as-published", args->as_published,
                    "with the choices of its public release");
  command->add_flag("--json", args->json, "for machines");
  command->add_flag("--markdown", args->markdown,
                    "the tables of docs/methods.md");
  command->callback(
      [args, &action] { action = [args] { return list_methods(*args); }; });
}

}  // namespace rsm
