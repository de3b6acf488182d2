#include "rsm/runs/solver_options.h"

#include <gtest/gtest.h>

#include "rsm/io/testing.h"
#include "rsm/runs/changed_keys.h"

namespace rsm {
namespace {

RunOptions solver_options_of(std::vector<std::string> overrides,
                             const std::string& family = "flow") {
  overrides.insert(overrides.begin(),
                   {"method.name=awm", "prompts.samples_per_prompt=4"});
  return read_run_options(
      Config::parse(cat("name: a\nmodel: models/shapes-", family, "\n"),
                    "my.yaml", overrides));
}

std::string error_with(const std::vector<std::string>& overrides) {
  return error_of([&] { solver_options_of(overrides); });
}

TEST(SolverOptions, OfSaSolverAreTheFamilysUnlessSaid) {
  for (const std::string family : {"flow", "diffusion"}) {
    const auto options = solver_options_of({"sampling.solver=sa"}, family);
    EXPECT_EQ(options.solver, Solver::sa);
    EXPECT_EQ(options.adams,
              usual_adams(family == "flow" ? Family::flow : Family::diffusion));
  }
  const auto options = solver_options_of(
      {"sampling.solver=sa",
       "sampling.sa={tau: 0.7, from: 0.1, to: 0.5, predictor_order: 3, "
       "corrector_order: 0}"});
  const StochasticAdams said = {.tau = 0.7,
                                .from = 0.1,
                                .to = 0.5,
                                .predictor_order = 3,
                                .corrector_order = 0};
  EXPECT_EQ(options.adams, said);
  const auto plan = options.plan();
  EXPECT_EQ(plan.solver, Solver::sa);
  EXPECT_EQ(plan.adams, said);
}

TEST(SolverOptions, ResolvedReadBackAsTheyWere) {
  for (const std::string sa :
       {"{tau: 0.7, from: 0.1}", "{tau: 0}", "{corrector_order: 4}"}) {
    const auto options =
        solver_options_of({"sampling.solver=sa", "sampling.sa=" + sa});
    const auto again =
        read_run_options(Config::parse(options.resolved, "config.yaml"));
    EXPECT_EQ(again.resolved, options.resolved);
    EXPECT_EQ(again.solver, options.solver);
    EXPECT_EQ(again.adams, options.adams);
  }
  // Configs of other runs are what they were.
  EXPECT_EQ(solver_options_of({}).resolved.find(" sa:"), std::string::npos);
}

TEST(SolverOptions, ARunDoesNotGoOnWithOthers) {
  const auto before = solver_options_of({"sampling.solver=sa"}).resolved;
  EXPECT_EQ(changed_keys(before, solver_options_of({"sampling.solver=sa",
                                                    "sampling.sa.tau=0.5"})
                                     .resolved),
            std::vector<std::string>{"sampling.sa.tau: 0.4 -> 0.5"});
  EXPECT_FALSE(changed_keys(before, solver_options_of({}).resolved).empty());
  EXPECT_FALSE(changed_keys(solver_options_of({}).resolved, before).empty());
}

TEST(SolverOptions, OfEvaluationsAreTheirOwnWhateverTheMethod) {
  const auto options =
      solver_options_of({"evaluation.solver=sa", "evaluation.sa.tau=0.7"});
  EXPECT_EQ(options.solver, Solver::euler);
  EXPECT_EQ(options.eval_solving.solver, Solver::sa);
  EXPECT_EQ(options.eval_solving.adams.tau, 0.7);
  const auto again =
      read_run_options(Config::parse(options.resolved, "config.yaml"));
  EXPECT_EQ(again.resolved, options.resolved);
  EXPECT_EQ(again.eval_solving, options.eval_solving);
  EXPECT_EQ(solver_options_of(
                {"method.name=flow-grpo", "evaluation.solver=multistep"})
                .eval_solving.solver,
            Solver::multistep);
  expect_parts(error_with({"evaluation.sa.tau=1"}),
               {"evaluation.sa", "solver is euler"});
  expect_parts(error_with({"evaluation.solver=sa",
                           "evaluation.sa={from: 0.01, to: 0.02}"}),
               {"evaluation.sa.from", "no step of the sampler"});
  // Older runs were evaluated with Euler's steps.
  const std::string older = "seed: 1\n";
  EXPECT_TRUE(
      changed_keys(older, older + "evaluation: {solver: euler}\n").empty());
  EXPECT_EQ(changed_keys(older, older + "evaluation: {solver: sa}\n").size(),
            1u);
}

TEST(SolverOptions, OutOfRangeOrWithoutEffectAreRefusedByKey) {
  const auto sa = [](const std::string& settings) {
    return error_with({"sampling.solver=sa", "sampling.sa=" + settings});
  };
  expect_parts(sa("{tau: -1}"), {"sampling.sa.tau", "-1", "[0, 10]"});
  expect_parts(sa("{predictor_order: 0}"),
               {"sampling.sa.predictor_order", "[1, 4]"});
  expect_parts(sa("{corrector_order: 5}"),
               {"sampling.sa.corrector_order", "[0, 4]"});
  expect_parts(sa("{from: 0.8, to: 0.2}"), {"sampling.sa.from", "above `to`"});
  expect_parts(sa("{to: 1.5}"), {"sampling.sa.to", "1.5"});
  expect_parts(sa("{from: 0.01, to: 0.02}"),
               {"sampling.sa.from", "no step of the sampler"});
  expect_parts(sa("{tau: 0, to: 0.5}"), {"sampling.sa.to", "tau is 0"});
  expect_parts(sa("{tua: 1}"), {"sampling.sa.tua", "unknown key", "\"tau\""});
  expect_parts(error_with({"sampling.sa.tau=0.5"}),
               {"sampling.sa", "solver is euler"});
  expect_parts(
      error_with({"sampling.solver=multistep", "sampling.sa={order: 2}"}),
      {"sampling.sa", "solver is multistep"});
  expect_parts(error_with({"sampling.solver=sa-solver"}),
               {"sampling.solver", "sa-solver", "multistep"});
  expect_parts(error_with({"sampling.solver=sa", "method.name=flow-grpo"}),
               {"sampling.solver", "source: pictures"});
}

}  // namespace
}  // namespace rsm
