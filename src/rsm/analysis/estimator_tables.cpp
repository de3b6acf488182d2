#include "rsm/analysis/estimator_tables.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/worlds/three_modes.h"

namespace rsm {
namespace {

using Errors = std::vector<EstimatorError>;

constexpr int kErrorDecimals = 4;  ///< in tables

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.9g", value);
  return text;
}

std::string count_or_nothing(int64_t count) {
  return count > 0 ? std::to_string(count) : "";
}

bool is_shown(const EstimatorError& error, ToyPolicy policy, int64_t timestep) {
  return error.policy == policy && error.timestep == timestep &&
         (error.omega == ToyOmega::step || error.omega == ToyOmega::none);
}

/** The policies and timesteps there are, in their order. */
std::vector<std::pair<ToyPolicy, int64_t>> settings_of(const Errors& errors) {
  std::vector<std::pair<ToyPolicy, int64_t>> out;
  for (const auto& error : errors) {
    const std::pair setting(error.policy, error.timestep);
    if (out.empty() || out.back() != setting) out.push_back(setting);
  }
  return out;
}

/** Least, middle and most samples, of which the middle is as far from both in
 * its logarithm. */
std::vector<int64_t> shown_samples(const Errors& errors) {
  std::vector<int64_t> all;
  for (const auto& error : errors) {
    if (error.estimator.random) all.push_back(error.samples);
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.size() <= 2) return all;
  return {all.front(), all[all.size() / 2], all.back()};
}

std::string error_text(const EstimatorError& error) {
  const auto value = report::format_fixed(error.rmse, kErrorDecimals);
  return error.estimator.random
             ? cat(value, " ± ",
                   report::format_fixed(error.rmse_se, kErrorDecimals))
             : value;
}

/** [samples] of one estimator, by its label. */
const EstimatorError* found(const Errors& errors, const std::string& label,
                            int64_t samples, ToyPolicy policy,
                            int64_t timestep) {
  const auto at = std::find_if(
      errors.begin(), errors.end(), [&](const EstimatorError& error) {
        return is_shown(error, policy, timestep) &&
               error.estimator.label() == label &&
               (error.samples == samples || !error.estimator.random);
      });
  return at == errors.end() ? nullptr : &*at;
}

/** The labels of a setting, each once, in their order. */
std::vector<std::string> labels_of(const Errors& errors, ToyPolicy policy,
                                   int64_t timestep) {
  std::vector<std::string> out;
  for (const auto& error : errors) {
    const auto label = error.estimator.label();
    if (is_shown(error, policy, timestep) &&
        (out.empty() || out.back() != label)) {
      out.push_back(label);
    }
  }
  return out;
}

}  // namespace

std::string to_string(ToyPolicy policy) {
  return policy == ToyPolicy::tilted ? "tilted" : "ref";
}

std::string to_string(ToyOmega omega) {
  switch (omega) {
    case ToyOmega::step:
      return "step";
    case ToyOmega::unit:
      return "unit";
    case ToyOmega::one:
      return "one";
    case ToyOmega::none:
      break;
  }
  return "none";
}

report::TextTable estimator_rows(const Errors& errors) {
  report::TextTable out;
  out.head = {"estimator",     "lookahead", "split",  "branch",
              "timestep",      "policy",    "omega",  "samples",
              "network_evals", "rmse",      "rmse_se"};
  for (const auto& error : errors) {
    const auto& estimator = error.estimator;
    out.rows.push_back(
        {estimator.name,
         estimator.lookahead ? report::format_short(*estimator.lookahead) : "",
         count_or_nothing(estimator.split), count_or_nothing(estimator.branch),
         std::to_string(error.timestep), to_string(error.policy),
         to_string(error.omega), std::to_string(error.samples),
         std::to_string(error.evaluations), number(error.rmse),
         number(error.rmse_se)});
  }
  return out;
}

report::TextTable estimator_table(const Errors& errors, ToyPolicy policy,
                                  int64_t timestep) {
  const auto samples = shown_samples(errors);
  report::TextTable out;
  out.head = {"estimator"};
  for (const int64_t k : samples) {
    out.head.push_back(cat("K = ", report::format_count(k)));
  }
  out.head.emplace_back("evaluations");
  for (const auto& label : labels_of(errors, policy, timestep)) {
    std::vector<std::string> row = {label};
    int64_t evaluations = 0;
    for (const int64_t k : samples) {
      const auto* error = found(errors, label, k, policy, timestep);
      row.push_back(error == nullptr ? "" : error_text(*error));
      if (error != nullptr) evaluations = error->evaluations;
    }
    row.push_back(report::format_count(evaluations));
    out.rows.push_back(row);
  }
  return out;
}

std::string estimator_text(const Errors& errors) {
  std::string out;
  for (const auto& [policy, timestep] : settings_of(errors)) {
    out += cat("RMSE to the value gradient, ", to_string(policy),
               " policy, timestep ", timestep, ", alpha_bar ",
               report::format_short(ThreeModes::alpha_bars()[timestep]), "\n\n",
               report::table_text(estimator_table(errors, policy, timestep)));
  }
  return out;
}

std::vector<std::string> write_estimator_errors(const Errors& errors,
                                                const std::string& folder) {
  make_folders(folder);
  std::vector<std::string> files;
  const auto write = [&](const std::string& name, const std::string& text) {
    files.push_back((std::filesystem::path(folder) / name).string());
    write_file_atomic(files.back(), text);
  };
  write("estimators.csv", report::table_csv(estimator_rows(errors)));
  write("estimators.txt", estimator_text(errors));
  for (const auto& [policy, timestep] : settings_of(errors)) {
    for (const auto& plot : estimator_plots(errors, policy, timestep)) {
      if (!plot.svg.empty()) write(plot.file, report::svg_file(plot.svg));
    }
  }
  return files;
}

}  // namespace rsm
