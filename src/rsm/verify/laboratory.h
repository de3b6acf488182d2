#pragma once

#include <cstdint>
#include <string>

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

}  // namespace rsm::verify
