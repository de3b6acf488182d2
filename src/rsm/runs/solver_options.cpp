#include "rsm/runs/solver_options.h"

#include <algorithm>

#include "rsm/base/error.h"

namespace rsm {
namespace {

constexpr double kMostTau = 10;

Solver solver_named(const std::string& word) {
  return word == "sa"          ? Solver::sa
         : word == "multistep" ? Solver::multistep
                               : Solver::euler;
}

/** The interval in which noise is drawn; without a tau there is none. */
void read_interval(const Config& section, StochasticAdams& adams) {
  const bool given = section.has("from") || section.has("to");
  if (adams.tau == 0 && !given) return;
  adams.from = section.real("from", adams.from, 0, 1);
  adams.to = section.real("to", adams.to, 0, 1);
  if (adams.tau == 0) {
    section.note(section.has("from") ? "from" : "to",
                 "bounds the times at which noise is drawn, but tau is 0; "
                 "leave it out, or give tau a value above 0");
  } else if (adams.from > adams.to) {
    section.note("from", cat(adams.from, " is above `to`, ", adams.to,
                             "; times fall from 1 (noise) to 0: `from` has to "
                             "be the cleaner end"));
  }
}

}  // namespace

void read_solver(const Config& sampling, Family family, RunOptions& o) {
  const auto word =
      sampling.choice("solver", "euler", {"euler", "multistep", "sa"});
  o.solver = solver_named(word);
  if (o.solver != Solver::euler && !o.method.estimator.is_of_pictures()) {
    sampling.note("solver", cat("\"", word,
                                "\" with a method that trains the sampler's "
                                "steps; it is for source: pictures alone"));
  }
  if (o.solver != Solver::sa) {
    if (!sampling.has("sa")) return;
    sampling.section("sa").allow_any_key();
    if (sampling.is_wrong("solver")) return;
    sampling.note("sa", cat("are settings of `solver: sa`, the solver is ",
                            word, "; leave them out, or take that solver"));
    return;
  }
  const auto section = sampling.section("sa");
  o.adams = usual_adams(family);
  o.adams.tau = section.real("tau", o.adams.tau, 0, kMostTau);
  o.adams.predictor_order = section.integer(
      "predictor_order", o.adams.predictor_order, 1, kMostAdamsOrder);
  o.adams.corrector_order = section.integer(
      "corrector_order", o.adams.corrector_order, 0, kMostAdamsOrder);
  read_interval(section, o.adams);
}

void check_solver(const Config& sampling, const Path& path,
                  const RunOptions& o) {
  if (o.solver != Solver::sa || o.adams.tau == 0 || sampling.is_wrong("sa")) {
    return;
  }
  auto times = o.plan().times(path);
  times.pop_back();
  const auto draws = [&](double t) { return o.adams.tau_at(t) > 0; };
  if (std::none_of(times.begin(), times.end(), draws)) {
    sampling.section("sa").note(
        "from", cat("no step of the sampler begins from ", o.adams.from, " to ",
                    o.adams.to,
                    " (`to`), so no noise would be drawn; the steps begin "
                    "from ",
                    times.back(), " to ", times.front(),
                    ": widen the interval, or set tau 0"));
  }
}

}  // namespace rsm
