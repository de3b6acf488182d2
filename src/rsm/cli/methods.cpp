#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/cli/commands.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/method_config.h"
#include "rsm/objective/rows.h"
#include "rsm/objective/strength.h"
#include "rsm/paths/flow_matching.h"

namespace rsm {
namespace {

/** The default sampler of flow models: what h(t) is shown for. */
constexpr int64_t kSteps = 10;
constexpr double kNoiseLevel = 0.7;

nlohmann::json by_time(const Method& method, const Transitions& transitions) {
  nlohmann::json out;
  const auto h = normalised_h(method, transitions);
  for (int64_t i = 0; i + 1 < kSteps; ++i) {
    const auto factors = row_factors(method, transitions[i], 1);
    out.push_back({{"step", i},
                   {"t", transitions[i].t},
                   {"K", rows_at(method.estimator, i, kSteps)},
                   {"g", strength(method.strength, transitions[i])},
                   {"h", h[i]},
                   {"clip_log_ratio",
                    method.regularisation.clip_range / factors.exponent}});
  }
  return out;
}

/** Bars of height 0..8 eighths, one a step. */
std::string sparkline(const std::vector<double>& values) {
  static const char* kBars[] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double top = 0;
  for (const double v : values) {
    top = std::max(top, v);
  }
  std::string out;
  for (const double v : values) {
    out +=
        kBars[top > 0 && v > 0 ? 1 + static_cast<int>(v / top * 7 + 0.5) : 0];
  }
  return out;
}

void print_method(const Method& method, const Transitions& transitions) {
  std::printf("%s: %s\n  source: %s\n", method.name.c_str(),
              method.summary.c_str(), method.source.c_str());
  const auto json = to_json(method);
  for (const char* knobs : {"estimator", "strength", "regularisation"}) {
    std::printf("  %s:\n", knobs);
    for (const auto& [key, value] : json[knobs].items()) {
      std::printf("    %s: %s\n", key.c_str(),
                  value.is_string() ? value.get<std::string>().c_str()
                                    : value.dump().c_str());
    }
  }
  std::printf("\n  step       t    K          g          h  clip |log rho|\n");
  for (const auto& row : by_time(method, transitions)) {
    std::printf("  %4lld  %.4f  %3lld  %9.5g  %9.5g  %9.5g\n",
                row["step"].get<long long>(), row["t"].get<double>(),
                row["K"].get<long long>(), row["g"].get<double>(),
                row["h"].get<double>(), row["clip_log_ratio"].get<double>());
  }
}

void print_list(const std::vector<Method>& methods,
                const Transitions& transitions) {
  std::printf("%-16s %-11s %s\n", "method", "h(t), 1 to 0", "");
  for (const auto& method : methods) {
    auto h = normalised_h(method, transitions);
    h.resize(kSteps - 1);
    std::printf("%-16s [%s]  %s\n", method.name.c_str(), sparkline(h).c_str(),
                method.summary.c_str());
  }
  std::printf("\nrsm methods NAME shows one with its knobs, time by time.\n");
}

int list_methods(const std::string& name, bool json) {
  const auto transitions =
      flow_sde_transitions(FlowMatchSchedule{}.times(kSteps), kNoiseLevel);
  const auto methods =
      name.empty() ? catalogue() : std::vector<Method>{find_method(name)};
  if (json) {
    nlohmann::json out;
    for (const auto& method : methods) {
      auto entry = to_json(method);
      entry["by_time"] = by_time(method, transitions);
      out["methods"].push_back(entry);
    }
    std::printf("%s\n", out.dump(2).c_str());
  } else if (name.empty()) {
    print_list(methods, transitions);
  } else {
    print_method(methods[0], transitions);
  }
  return kDone;
}

}  // namespace

void add_methods(CLI::App& app, Action& action) {
  struct Arguments {
    std::string name;
    bool json = false;
  };
  auto args = std::make_shared<Arguments>();
  auto* command = app.add_subcommand(
      "methods",
      "List the methods, or show one: its three knobs and how strongly it acts "
      "at each time of a 10-step flow.\n\n"
      "  rsm methods\n"
      "  rsm methods " +
          catalogue().back().name + "\n  rsm methods --json\n");
  command->add_option("name", args->name, "one method");
  command->add_flag("--json", args->json, "for machines");
  command->callback([args, &action] {
    action = [args] { return list_methods(args->name, args->json); };
  });
}

}  // namespace rsm
