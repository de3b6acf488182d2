#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/runs/run_options.h"
#include "rsm/runs/run_parts.h"
#include "rsm/verify/at_alpha.h"
#include "rsm/verify/judge.h"

namespace rsm::verify {

/** How long every method trains. */
struct Budget {
  int64_t epochs = 200;    ///< of one update each
  int64_t pictures = 256;  ///< of an epoch, about
  double lr = 1e-2;        ///< falls linearly to 0
  int64_t points = 4096;   ///< that are measured
  uint64_t seed = 42;
  int64_t threads = 2;
};

/** A run of a method on a problem, by the engine that trains pictures: its
 * config, and its parts made in memory. */
RunOptions run_options(const Method& method, const Path& path,
                       const Budget& budget, const std::string& folder);
RunParts run_parts(const Problem& problem,
                   const std::shared_ptr<const Path>& path,
                   const RunOptions& options, Progress& progress);

/** What a method made of a problem. */
struct Result {
  std::string problem;
  Fit fit;
  double gap = 0;         ///< see Judge
  bool at_floor = false;  ///< the same
  double seconds = 0;
  std::string failure;  ///< why there is no fit; empty where there is one
};

/** Trains a method at the problem's alpha and measures the model it leaves.
 * What the engine refuses, or diverges, is told in the result. Throws
 * Interrupted where the progress asks to stop. */
Result result_of(const Tempered& tempered, const Judge& judge,
                 const Budget& budget, Progress& progress);

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

/** Verifies methods of the catalogue, all where none is named, with each of
 * some returns: others than hard ones are named behind the method. A black box
 * asks for no gradient: methods that need one are not tried on it. Throws
 * rsm::UsageError for unknown names, and for named methods that cannot have
 * such a return; where none is named, those are passed over. `after_each` is
 * shown what is measured so far, after each method. */
Report verify(const std::vector<std::string>& names, double alpha,
              const Budget& budget, Progress& progress,
              const std::vector<EstimatorKnobs::Return>& returns =
                  {EstimatorKnobs::Return::hard},
              const std::function<void(const Report&)>& after_each = {});

}  // namespace rsm::verify
