#include "rsm/verify/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/plot/text_table.h"

namespace rsm::verify {
namespace {

using nlohmann::json;
using report::format_fixed;
using report::TextTable;

std::string percent(double share) {
  return format_fixed(100 * share, 0) + " %";
}

/** "12 %, as 1.5/alpha", "floor", "no model" */
std::string cell_of(const Result& result) {
  if (!result.failure.empty()) return "no model";
  if (result.at_floor) return "floor";
  return cat(percent(result.gap), ", as ",
             report::format_short(result.fit.strength), "/alpha");
}

std::vector<std::string> problem_names(double alpha) {
  std::vector<std::string> out;
  for (const auto& problem : problems(alpha)) out.push_back(problem.name);
  return out;
}

TextTable method_table(const Report& all) {
  const auto names = problem_names(all.alpha);
  TextTable out;
  out.head = {"method"};
  out.head.insert(out.head.end(), names.begin(), names.end());
  out.head.emplace_back("objective");
  out.head.emplace_back("verdict");
  for (const auto& method : all.methods) {
    std::vector<std::string> row = {method.method +
                                    (method.is_given_pull ? " +KL" : "")};
    double objective = INFINITY;
    for (const auto& name : names) {
      const auto found = std::find_if(
          method.results.begin(), method.results.end(),
          [&](const Result& result) { return result.problem == name; });
      row.push_back(found == method.results.end() ? "-" : cell_of(*found));
      if (found != method.results.end() && found->failure.empty()) {
        objective = std::min(objective, found->fit.objective);
      }
    }
    row.push_back(format_fixed(objective, 2));
    row.push_back(to_string(method.verdict));
    out.rows.push_back(std::move(row));
  }
  return out;
}

TextTable problem_table(const Report& all) {
  TextTable out;
  out.head = {"problem",     "floor",    "1 of 20 above", "perfect network",
              "no training", "KL floor", "KL of perfect"};
  for (const auto& [family, judges] : all.judges) {
    for (const auto& judge : judges) {
      out.rows.push_back({judge.problem().name + " (" + family + ")",
                          format_fixed(judge.floor(), 4),
                          format_fixed(judge.floor_high(), 4),
                          format_fixed(judge.exact().distance, 4),
                          format_fixed(judge.reference().distance, 4),
                          format_fixed(judge.kl_floor(), 4),
                          format_fixed(judge.exact().kl, 4)});
    }
  }
  return out;
}

json to_json(const Fit& fit) {
  return {{"distance", fit.distance},
          {"kl", fit.kl},
          {"reward", fit.reward},
          {"kl_reference", fit.kl_reference},
          {"objective", fit.objective},
          {"strength", fit.strength},
          {"strength_distance", fit.strength_distance}};
}

json to_json(const Judge& judge) {
  const auto& problem = judge.problem();
  const double strength = 1 / problem.alpha;
  return {
      {"name", problem.name},
      {"floor", judge.floor()},
      {"floor_high", judge.floor_high()},
      {"kl_floor", judge.kl_floor()},
      {"exact", to_json(judge.exact())},
      {"reference", to_json(judge.reference())},
      {"answer",
       {{"reward", problem.reference.tilted_reward(problem.reward, strength)},
        {"kl_reference",
         problem.reference.tilted_kl(problem.reward, strength)}}}};
}

json to_json(const Result& result) {
  json out = {{"problem", result.problem}, {"seconds", result.seconds}};
  if (!result.failure.empty()) {
    out["failure"] = result.failure;
    return out;
  }
  out.update(to_json(result.fit));
  out["gap"] = result.gap;
  out["at_floor"] = result.at_floor;
  return out;
}

/** A cloud's density along a line. */
report::PlotSeries profile(const std::string& name, const torch::Tensor& along,
                           double low, double high, int color) {
  constexpr int64_t kBins = 48;
  const double width = (high - low) / kBins;
  const auto bin = ((along - low) / width).floor().clamp(-1, kBins) + 1;
  const auto count = at::bincount(bin.to(at::kLong), {}, kBins + 2);
  report::PlotSeries out{.name = name, .color = color, .points = false};
  for (int64_t i = 0; i < kBins; ++i) {
    out.x.push_back(low + (static_cast<double>(i) + 0.5) * width);
    out.y.push_back(count[i + 1].item<double>() /
                    (static_cast<double>(along.numel()) * width));
  }
  return out;
}

/** What plots of a problem have in common, from samples of what is known. */
struct Known {
  torch::Tensor line;  ///< [D] of length 1, along the answer's way
  double low = 0, high = 0;
  report::PlotSeries before, answer;
};

Known known_of(const Problem& problem) {
  constexpr int64_t kSmooth = 200000;  // samples
  const auto answer = problem.answer().sample(kSmooth, 1);
  const auto reference = problem.reference.sample(kSmooth, 1);
  Known out;
  out.line = answer.mean(0) - reference.mean(0);
  out.line = out.line / out.line.norm().clamp_min(1e-12);
  const auto a = answer.matmul(out.line), r = reference.matmul(out.line);
  out.low = std::min(a.min().item<double>(), r.min().item<double>());
  out.high = std::max(a.max().item<double>(), r.max().item<double>());
  out.before = profile("before", r, out.low, out.high, 0);
  out.answer = profile("exact answer", a, out.low, out.high, 1);
  return out;
}

std::string density_plot(const Known& known, const std::string& method,
                         const Result& result) {
  report::LinePlot plot;
  plot.title = cat(method, " on ", result.problem);
  plot.description =
      "Densities of samples along the line on which the exact "
      "answer leaves the model before training";
  plot.x_label = "along the answer's way";
  plot.series = {known.before, known.answer,
                 profile(method, result.fit.points.matmul(known.line),
                         known.low, known.high, 2)};
  plot.reached = {0};
  return report::line_plot(plot);
}

}  // namespace

std::string line_of(const Verification& method) {
  auto out = cat(method.method, ": ", to_string(method.verdict));
  for (const auto& result : method.results) {
    out += cat("; ", result.problem, " ", cell_of(result));
  }
  return out;
}

std::string text_of(const Report& all) {
  std::string out = cat(
      "alpha ", report::format_short(all.alpha), ", ", all.budget.epochs,
      " epochs of about ", all.budget.pictures, " pictures, ",
      report::format_duration(all.seconds), "\n\n",
      table_text(problem_table(all)),
      "Of the way from the model before training (100 %) to the exact answer "
      "(0 %), what is left;\nand the strength whose tilt is nearest: 1/alpha "
      "is what was asked for. objective: the least share of the\nmost that "
      "reward - alpha KL can be. +KL: given a pull that the entry has not.\n\n",
      table_text(method_table(all)));
  for (const auto& method : all.methods) {
    if (method.verdict == Verification::Verdict::exact) continue;
    out += method.method + "\n";
    for (const auto& text : method.known_biases) out += "  " + text + "\n";
    for (const auto& result : method.results) {
      if (!result.failure.empty()) {
        out += "  " + result.problem + ": " + result.failure + "\n";
      }
    }
  }
  return report::plain_signs(out);
}

json to_json(const Report& all) {
  json out = {{"alpha", all.alpha},
              {"seconds", all.seconds},
              {"budget",
               {{"epochs", all.budget.epochs},
                {"pictures", all.budget.pictures},
                {"lr", all.budget.lr},
                {"points", all.budget.points},
                {"seed", all.budget.seed}}},
              {"problems", json::object()},
              {"methods", json::array()}};
  for (const auto& [family, judges] : all.judges) {
    for (const auto& judge : judges) {
      out["problems"][family].push_back(to_json(judge));
    }
  }
  for (const auto& method : all.methods) {
    json results = json::array();
    for (const auto& result : method.results) {
      results.push_back(to_json(result));
    }
    out["methods"].push_back({{"name", method.method},
                              {"family", method.family},
                              {"given_pull", method.is_given_pull},
                              {"verdict", to_string(method.verdict)},
                              {"known_biases", method.known_biases},
                              {"results", results}});
  }
  return out;
}

std::string write_numbers(const Report& all, const std::string& folder) {
  make_folders(folder);
  auto path = folder + "/verify.json";
  write_json_atomic(path, to_json(all));
  return path;
}

std::vector<std::string> write_report(const Report& all,
                                      const std::string& folder) {
  std::vector<std::string> written = {write_numbers(all, folder)};
  std::map<std::string, Known> known;
  for (const auto& problem : problems(all.alpha)) {
    known[problem.name] = known_of(problem);
  }
  for (const auto& method : all.methods) {
    for (const auto& result : method.results) {
      if (!result.failure.empty()) continue;
      written.push_back(
          cat(folder, "/", method.method, "-", result.problem, ".svg"));
      write_file_atomic(written.back(),
                        report::svg_file(density_plot(known.at(result.problem),
                                                      method.method, result)));
    }
  }
  return written;
}

}  // namespace rsm::verify
