#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "rsm/compare/comparison.h"
#include "rsm/plot/text_table.h"

namespace rsm::report {

/** A setting after so many epochs, means over its seeds, beside all others of a
 * comparison. The drift is the same measure for every method: the exact KL of
 * the family's usual stochastic step to the reference, over the steps of the
 * evaluation's path that drift is measured at (path_drift,
 * runs/evaluation.h). */
struct FrontPoint {
  size_t setting = 0;  ///< its place in the comparison
  int64_t epoch = 0;
  double score = 0;
  double kl = 0;
  /** The least that is left of what nobody optimises (data/watch_ratio.h); NaN:
   * not known. */
  double kept = 0;
  WatchNumbers ratios = {};  ///< of each of these, times what it was
  /** Whether no other has as much score with less drift, or more with as much;
   * and the same with what is lost, 1 - kept. */
  bool best_by_drift = false;
  bool best_by_loss = false;
};

/** Which points no other beats: none has a cost as small and a score as large,
 * and one of both better. Equal points stand together; those with a number that
 * is not finite are beaten. */
std::vector<bool> undominated(const std::vector<double>& cost,
                              const std::vector<double>& score);

/** Every epoch at which all runs of a setting were evaluated, by setting and
 * epoch. */
std::vector<FrontPoint> front_points(const Comparison& comparison);

/** Those of both fronts, by drift, as people read them. */
TextTable front_table(const Comparison& comparison);
/** Of each setting, what nobody optimises at the end, times what it was: means
 * over seeds; without rows where nothing is known. */
TextTable watch_table(const Comparison& comparison);

/** pareto.csv: label, seeds, epoch, score, kl, kept, best_by_drift,
 * best_by_loss, and what is watched: watch_NAME, times what it was. */
std::string pareto_csv(const Comparison& comparison);

/** Score against drift, and against what is lost: a dot a point, a line
 * through the front; "" where there is nothing to draw. */
std::string drift_front_plot(const Comparison& comparison);
std::string loss_front_plot(const Comparison& comparison);

}  // namespace rsm::report
