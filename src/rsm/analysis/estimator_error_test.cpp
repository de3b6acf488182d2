#include "rsm/analysis/estimator_error.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "rsm/analysis/estimator_tables.h"
#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/plot/markup_testing.h"
#include "rsm/worlds/three_modes.h"

namespace rsm {
namespace {

EstimatorErrorOptions quick() {
  EstimatorErrorOptions options;
  options.points = 3;
  options.samples = 64;
  options.timesteps = {149};
  return options;
}

std::vector<EstimatorError> measured(const EstimatorErrorOptions& options) {
  NoProgress progress;
  return estimator_errors(options, progress);
}

const EstimatorError& one_of(const std::vector<EstimatorError>& errors,
                             const std::string& label, int64_t samples,
                             ToyOmega omega) {
  for (const auto& error : errors) {
    if (error.estimator.label() == label && error.samples == samples &&
        error.omega == omega) {
      return error;
    }
  }
  throw Error("no " + label);
}

TEST(EstimatorErrors, FallWithTheRootOfTheSamplesUntilBias) {
  auto options = quick();
  options.points = 6;
  options.samples = 1024;
  options.repeats = 16;
  const auto errors = measured(options);
  // PPO's noise is far above its bias; a factor of 64 in K is one of 8.
  const auto& few = one_of(errors, "PPO", 16, ToyOmega::step);
  const auto& many = one_of(errors, "PPO", 1024, ToyOmega::step);
  const double factor = few.rmse / many.rmse;
  const double doubt =
      factor * std::hypot(few.rmse_se / few.rmse, many.rmse_se / many.rmse);
  EXPECT_GT(few.rmse_se, 0);
  EXPECT_NEAR(factor, 8, 4.5 * doubt + 0.05 * 8);  // and what bias adds
  // Others reach theirs soon: the mean square is noise / K + bias squared.
  for (const std::string label : {"GRPO", "LA0 0.5", "BRANCH 2x2"}) {
    const auto square = [&](int64_t samples) {
      return std::pow(one_of(errors, label, samples, ToyOmega::step).rmse, 2);
    };
    EXPECT_NEAR((square(16) - square(64)) / (square(64) - square(256)), 4, 1.6)
        << label;
  }
  // First order has next to no noise.
  const auto& first = one_of(errors, "FO 0.9", 1024, ToyOmega::none);
  const auto& zeroth = one_of(errors, "LA0 0.9", 1024, ToyOmega::step);
  EXPECT_LT(first.rmse, zeroth.rmse);
}

TEST(EstimatorErrors, ZeroIsAsFarAsTheTruthIsLong) {
  const auto options = quick();
  const auto errors = measured(options);
  const ThreeModes world;
  const double signal = std::sqrt(ThreeModes::alpha_bars()[149]);
  const auto x = world.states(3, signal).t().contiguous().view({1, 2, 3});
  const auto truth =
      world.value_gradient(x, at::full({1, 1, 1}, signal, at::kDouble));
  const auto& zero = one_of(errors, "ZERO", 1, ToyOmega::none);
  EXPECT_NEAR(zero.rmse, truth.square().mean(1).sqrt().mean().item<double>(),
              1e-12);
  EXPECT_EQ(zero.rmse_se, 0);
  EXPECT_EQ(zero.evaluations, 0);
}

TEST(EstimatorErrors, DependOnSeedsAndNotOnThreads) {
  auto options = quick();
  const auto one = estimator_rows(measured(options));
  options.threads = 3;
  EXPECT_EQ(estimator_rows(measured(options)).rows, one.rows);
  options.seed = 1;
  EXPECT_NE(estimator_rows(measured(options)).rows, one.rows);
}

TEST(EstimatorErrors, HaveALineForEverySetting) {
  auto options = quick();
  options.policies = {ToyPolicy::tilted, ToyPolicy::reference};
  options.lookaheads = {0.9};
  const auto table = estimator_rows(measured(options));
  EXPECT_EQ(report::table_csv({table.head, {}}),
            "estimator,lookahead,split,branch,timestep,policy,omega,samples,"
            "network_evals,rmse,rmse_se\n");
  std::map<std::vector<std::string>, std::set<std::string>> samples;
  for (const auto& row : table.rows) {
    ASSERT_EQ(row.size(), table.head.size());
    std::vector<std::string> key(row.begin(), row.begin() + 7);
    EXPECT_TRUE(samples[key].insert(row[7]).second);
    EXPECT_GT(std::stod(row[9]), 0);
  }
  const std::set<std::string> every = {"16", "32", "64"};
  EXPECT_EQ((samples[{"LA0", "0.9", "", "", "149", "ref", "unit"}]), every);
  EXPECT_EQ((samples[{"BRANCH", "", "2", "4", "149", "tilted", "step"}]),
            every);
  EXPECT_EQ((samples[{"FO", "0.9", "", "", "149", "tilted", "none"}]), every);
  EXPECT_EQ((samples[{"DPS", "", "", "", "149", "tilted", "none"}]),
            (std::set<std::string>{"1"}));
  EXPECT_EQ((samples[{"SOFTRETURN", "", "", "", "149", "tilted", "one"}]),
            every);
  EXPECT_EQ((samples[{"EXPREWARD", "", "", "", "149", "ref", "step"}]), every);
  EXPECT_EQ((samples[{"FOSOFT", "", "", "", "149", "tilted", "none"}]), every);
  // Of 16 estimators, 4 without samples, FO without Omega, 11 with three; and
  // SOFTRETURN and FOSOFT of one policy, EXPREWARD of the other.
  EXPECT_EQ(samples.size(), 2U * (4 + 1 + 3 * 11) + 3 + 1 + 3);
}

TEST(EstimatorErrors, AreWrittenAsATableAndPlots) {
  auto options = quick();
  options.points = 1;
  const auto errors = measured(options);
  const TemporaryFolder folder;
  const auto files = write_estimator_errors(errors, folder / "a/b");
  EXPECT_EQ(files.size(), 7U);  // two tables, five plots
  for (const auto& file : files) {
    const auto text = read_file(file);
    EXPECT_FALSE(text.empty()) << file;
    if (file.ends_with(".svg")) {
      EXPECT_EQ(report::tag_problem(text), "") << file;
      EXPECT_EQ(text.rfind("<svg xmlns=", 0), 0U) << file;
    }
  }
  expect_parts(read_file(folder / "a/b/samples-t149-tilted.svg"),
               {">2^4<", ">2^6<", ">0.3<", ">1<", "RMSE by samples K"});
  EXPECT_EQ(read_file(folder / "a/b/estimators.csv"),
            report::table_csv(estimator_rows(errors)));
  expect_parts(read_file(folder / "a/b/estimators.txt"),
               {"tilted policy, timestep 149", "GRPO", "K = 64", "BRANCH 2x4"});
}

TEST(EstimatorErrors, RefuseOptionsOutOfRange) {
  const auto refusal = [](auto change) {
    auto options = quick();
    change(options);
    return error_of([&] { measured(options); });
  };
  for (const int64_t samples : {-16, 0, 8, 100}) {
    expect_parts(refusal([&](auto& o) { o.samples = samples; }),
                 {"samples is", "a power of 2"});
  }
  expect_parts(refusal([](auto& o) { o.points = 0; }), {"points is 0"});
  expect_parts(refusal([](auto& o) { o.repeats = 1; }), {"repeats is 1"});
  expect_parts(refusal([](auto& o) { o.timesteps = {150}; }), {"timestep 150"});
}

}  // namespace
}  // namespace rsm
