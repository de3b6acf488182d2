#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "rsm/compare/comparison_settings.h"
#include "rsm/compare/curves.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {

/** What a comparison is about; what is not said is chosen by the runs. */
struct ComparisonOptions {
  std::string metric = "";  ///< of the evaluations
  /** Score whose time is asked for. */
  std::optional<double> target = std::nullopt;
  /** Drift at which scores are compared. */
  std::optional<double> kl = std::nullopt;
  std::string baseline = "";  ///< label of what others are sooner than
};

/** One run. NaN: not known; infinity: never. "After" is the last evaluation
 * but the first. */
struct RunResult {
  double before = SeedStatistics::kMissing;  ///< the metric
  double after = SeedStatistics::kMissing;
  MeanError error = {};                  ///< of `after` over its pictures
  MeanError gain_error = {};             ///< of the gain, picture by picture
  double kl = SeedStatistics::kMissing;  ///< at the end, per latent element
  std::vector<Watched> watched = {};     ///< Comparison::watched
  Cost spent = {};                       ///< until the last evaluation
  Cost to_target = {};  ///< until the metric first reached the target
  /** The metric where the drift first was so large. */
  double at_kl = SeedStatistics::kMissing;

  double gain() const { return after - before; }
};

struct CostStatistics {
  SeedStatistics seconds;
  SeedStatistics images;
  SeedStatistics evaluations;
};

/** How far a setting ended below the best one. */
struct Lag {
  /** What the error of a mean comes from. Pictures say nothing of other seeds.
   */
  enum class Over {
    seeds,               ///< both have several
    seeds_and_pictures,  ///< the one has several, the other is a single run
    pictures,            ///< both are single runs
  };

  double difference = 0;
  MeanError error = {};
  Over over = Over::seeds;
  bool paired = false;  ///< pictures, of two runs that looked at the same

  bool one_seed() const { return over != Over::seeds; }
  /** As one of so many statements, see MeanError::sure. */
  bool is_sure(size_t statements = 1) const;
};

/** The runs of one setting together. */
struct SettingResult {
  Setting setting;
  std::vector<RunResult> runs;  ///< one a run, by seed
  SeedStatistics before;
  SeedStatistics after;
  SeedStatistics gain;
  SeedStatistics kl;
  std::vector<SeedStatistics> watched;  ///< Comparison::watched
  SeedStatistics at_kl;
  CostStatistics spent;
  /** A run that never reached the target counts as later than any. */
  CostStatistics to_target;
  int64_t reached = 0;  ///< runs that reached the target
  /** The baseline's median time to the target divided by this one's; NaN where
   * one of them is not known, never reached or 0. */
  double sooner = 0;
  Lag lag;  ///< NaN for the best setting

  const std::string& label() const { return setting.label; }
};

struct Comparison {
  std::string metric;
  /** Metrics shown against what they were before training: those that runs'
   * rewards watch, and "diversity", as far as they are known. */
  std::vector<std::string> watched;
  /** NaN where no setting got better. */
  double target = 0;
  double kl = 0;         ///< NaN where no drift is known
  std::string baseline;  ///< a label; empty where nothing reached the target
  std::vector<SettingResult> settings;  ///< best mean first, then by label
  std::vector<std::string> warnings;

  /** In how many ways two of the settings can be compared: so many statements
   * are picked from where each is held against the best. */
  size_t pairs() const { return settings.size() * (settings.size() - 1) / 2; }
};

/** Compares at least one run; the result does not depend on their order.
 *
 * The target, unless given, lies halfway between the mean before training and
 * the best setting's mean after it, rounded to two decimals (more where two
 * leave the range). The drift is the smallest at which a run ended, so that
 * all reach it. The baseline is the setting that took longest to the target.
 * Between evaluations everything is read from straight lines.
 *
 * Throws UsageError for an unknown metric or baseline, for runs that report
 * different metrics where none is asked for, and for a seed that comes twice in
 * a setting. What makes runs hard to compare becomes a warning. */
Comparison compare_runs(std::vector<ComparedRun> runs,
                        const ComparisonOptions& options = {});

/** Those of its evaluations. */
std::set<std::string> metrics_of(const ComparedRun& run);

/** A run's metric against one of the costs, and against its drift. */
Curve cost_curve(const ComparedRun& run, double Cost::*cost,
                 const std::string& metric);
Curve drift_curve(const ComparedRun& run, const std::string& metric);

}  // namespace rsm::report
