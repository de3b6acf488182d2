#include "rsm/methods/check_return.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"

namespace rsm {
namespace {

using Return = EstimatorKnobs::Return;

void check(const std::string& entry, Return returns,
           const std::function<void(Method&)>& change = {}) {
  auto method = find_method(entry);
  method.estimator.returns = returns;
  if (change) change(method);
  check_return(method);
}

TEST(CheckReturn, TakesWhatHasLaterStepsAndATemperature) {
  for (const char* entry : {"flow-grpo", "rsm-flow", "rsm-surrogate"}) {
    EXPECT_NO_THROW(check(entry, Return::soft)) << entry;
  }
  for (const char* entry : {"flow-grpo", "rsm-flow"}) {
    EXPECT_NO_THROW(check(entry, Return::exponential)) << entry;
  }
  for (const char* entry : {"branch-grpo", "alignprop"}) {
    EXPECT_NO_THROW(check(entry, Return::soft, [](Method& m) {
      m.regularisation.beta = 1;
    })) << entry;
  }
}

TEST(CheckReturn, SaysWhyOthersHaveNone) {
  struct Case {
    std::string entry;
    Return returns;
    std::function<void(Method&)> change;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {"alignprop", Return::soft, {}, {"return: soft", "beta = 0"}},
      {"flow-grpo",
       Return::soft,
       [](Method& m) { m.regularisation.reference_guidance = 2; },
       {"reference_guidance"}},
      {"rsm-forward", Return::soft, {}, {"forward.rows"}},
      {"dag-kl", Return::soft, {}, {"flow"}},
      {"ram", Return::soft, {}, {"source: pictures"}},
      {"flow-grpo",
       Return::soft,
       [](Method& m) {
         m.estimator.baseline = EstimatorKnobs::Baseline::previous_step;
       },
       {"previous_step"}},
      {"flow-grpo",
       Return::soft,
       [](Method& m) { m.strength.scaled_residual = true; },
       {"scaled_residual"}},
      {"adjoint-matching",
       Return::soft,
       {},
       {"gradient.at: adjoint", "through: reference", "through: policy"}},
      {"vgg-flow-pruned", Return::soft, {}, {"gradient.at: picture", "later"}},
      {"adjoint-matching", Return::exponential, {}, {"trajectory"}},
      {"flow-grpo",
       Return::exponential,
       [](Method& m) { m.estimator.baseline = EstimatorKnobs::Baseline::none; },
       {"return: exponential", "baseline: mean"}},
      {"rsm-surrogate", Return::exponential, {}, {"no surrogate"}}};
  for (const auto& each : cases) {
    SCOPED_TRACE(each.entry);
    expect_parts(
        error_of([&] { check(each.entry, each.returns, each.change); }),
        each.parts);
  }
}

}  // namespace
}  // namespace rsm
