#include "rsm/runs/solver_options.h"

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

constexpr double kMostTau = 10;

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

Solving read_solving(const Config& section, Family family) {
  Solving out;
  out.solver = parse<Solver>(
      section.choice("solver", to_string(out.solver), words<Solver>()));
  if (out.solver != Solver::sa) {
    if (!section.has("sa")) return out;
    section.section("sa").allow_any_key();
    if (section.is_wrong("solver")) return out;
    section.note("sa", cat("are settings of `solver: sa`, the solver is ",
                           to_string(out.solver),
                           "; leave them out, or take that solver"));
    return out;
  }
  const auto settings = section.section("sa");
  auto& adams = out.adams = usual_adams(family);
  adams.tau = settings.real("tau", adams.tau, 0, kMostTau);
  adams.predictor_order = settings.integer(
      "predictor_order", adams.predictor_order, 1, kMostAdamsOrder);
  adams.corrector_order = settings.integer(
      "corrector_order", adams.corrector_order, 0, kMostAdamsOrder);
  read_interval(settings, adams);
  return out;
}

void read_solver(const Config& sampling, Family family, RunOptions& o) {
  const auto [solver, adams] = read_solving(sampling, family);
  o.solver = solver;
  o.adams = adams;
  if (solver == Solver::euler || o.method.estimator.is_of_pictures()) return;
  sampling.note("solver",
                cat("\"", to_string(solver),
                    "\" with a method that trains the sampler's steps; it is "
                    "for source: pictures alone"));
}

void check_solver(const Config& section, const Solving& solving,
                  std::vector<double> times) {
  const auto& adams = solving.adams;
  if (solving.solver != Solver::sa || adams.tau == 0 ||
      section.is_wrong("sa")) {
    return;
  }
  times.pop_back();
  const auto draws = [&](double t) { return adams.tau_at(t) > 0; };
  if (std::none_of(times.begin(), times.end(), draws)) {
    section.section("sa").note(
        "from",
        cat("no step of the sampler begins from ", adams.from, " to ", adams.to,
            " (`to`), so no noise would be drawn; the steps begin from ",
            times.back(), " to ", times.front(),
            ": widen the interval, or set tau 0"));
  }
}

}  // namespace rsm
