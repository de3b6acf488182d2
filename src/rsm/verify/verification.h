#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/estimator_knobs.h"
#include "rsm/base/progress.h"
#include "rsm/verify/judge.h"
#include "rsm/verify/laboratory.h"

namespace rsm::verify {

/** A method on all problems that it can be tried on. */
struct Verification {
  enum class Verdict { exact, biased, failed };

  std::string method;
  std::string family;          ///< of the models it was tried on
  bool is_given_pull = false;  ///< see Tempered
  std::vector<Result> results = {};
  Verdict verdict = Verdict::failed;
  std::vector<std::string> known_biases = {};  ///< of theory
};

/** exact: every result at its floor, or within a tenth of the way from the
 * reference to the answer; failed: one without a fit, or with more than 0.7 of
 * the way left; else biased. */
Verification::Verdict verdict_of(const std::vector<Result>& results);
std::string to_string(Verification::Verdict verdict);

/** Everything measured. */
struct Report {
  double alpha = 1;
  Budget budget;
  /** By family and problem. */
  std::map<std::string, std::vector<Judge>> judges = {};
  std::vector<Verification> methods = {};
  double seconds = 0;
};

/** Hears of each method as it comes: everything measured so far, and it. */
using AfterEach = std::function<void(const Report&, const Verification&)>;

/** Verifies methods of the catalogue, all where none is named, with each of
 * some returns: others than hard ones are named behind the method. A black box
 * asks for no gradient: methods that need one are not tried on it. Trains
 * `budget.threads` at once, each on one core: numbers do not depend on how
 * many, nor on which methods stand together. Throws rsm::UsageError for unknown
 * names, and for named methods that cannot have such a return; where none is
 * named, those are passed over. */
Report verify(const std::vector<std::string>& names, double alpha,
              const Budget& budget, Progress& progress,
              const std::vector<EstimatorKnobs::Return>& returns =
                  {EstimatorKnobs::Return::hard},
              const AfterEach& after_each = {});

}  // namespace rsm::verify
