#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "rsm/plot/text_table.h"
#include "rsm/report/run_record.h"

namespace rsm::report {

/** A mean before training (or in the first evaluation) and now. Numbers are NaN
 * where not known: with a single evaluation, all of `after`. */
struct Change {
  double before = 0;
  double after = 0;
  MeanError error = {};  ///< of the gain, paired; not known: nothing is claimed
  MeanError error_after = {};  ///< of `after` alone

  double gain() const { return after - before; }
  /** -1 or 1 where it is beyond error.sure(statements) (data/certainty.h) and
   * what float32 scores can tell, else 0: with so many changes of which the
   * large ones are named, more is asked of each. */
  int sign(size_t statements = 1) const;
};

/** The change of a category's main metric, or of a metric. */
struct NamedChange {
  std::string name;
  Change change;
};

/** Lines of warnings that differ in their numbers only. */
struct WarningGroup {
  std::string text;    ///< the last one's
  int64_t epochs = 0;  ///< 0: of the run as a whole
  int64_t first_epoch = 0;
  int64_t last_epoch = 0;
};

/** What a run came to, in one look. */
struct RunSummary {
  enum class Verdict {
    unknown,    ///< no evaluation after the first
    unclaimed,  ///< the change's error is not known
    better,     ///< by more than the error makes sure
    same,
    worse,
    suspicious,  ///< better, with more of what is watched or less diversity
  };

  Verdict verdict = Verdict::unknown;
  std::string metric;
  int64_t images = 0;  ///< pictures of the last evaluation
  int64_t first_epoch =
      0;  ///< of the first evaluation: 0 unless lines are gone
  Change main;
  std::vector<NamedChange> categories;  ///< of the metric, largest gain first
  /** Of all metrics: the trained one, the main one, the rest by name. */
  std::vector<NamedChange> metrics;
  std::vector<std::string> watched;  ///< those of them with a limit
  double drift = 0;    ///< KL per latent element at the last evaluation, or NaN
  double seconds = 0;  ///< until the last evaluation, or NaN
  int64_t epoch = 0;   ///< of the last line
  bool finished = false;
  /** Of the log, of the run as a whole, of what its folder lacks and of this
   * summary: what weighs most comes last. */
  std::vector<WarningGroup> warnings;

  /** Null where there is none. */
  const NamedChange* change_of(const std::string& metric) const;
};

/** A metric of the pictures against what it was before training: one that is
 * watched, or "diversity". */
struct Watched {
  std::string name;
  double ratio = 0;  ///< after / before; NaN where one of them is not known
  /** Beyond the limit, and not known to be by chance alone. */
  bool bad = false;
};

/** More of a watched metric than this times what it was is suspicious. */
inline constexpr double kWatchedLimit = 1.5;
/** Less diversity than this times what it was is, too. */
inline constexpr double kDiversityLimit = 0.67;

Watched watched_change(const std::string& name, const Change& change);

/** Of those that are known, diversity last. */
std::vector<Watched> watched_of(const RunSummary& summary);

RunSummary summarise(const RunRecord& record);

/** "The model got better", in at most ten words. */
std::string verdict_text(const RunSummary& summary);

/** "+0.191 ± 0.027", to two digits of MeanError::shown(); without it where it
 * is not known. */
std::string gain_text(const Change& change);

/** "Strict score on 640 held-out pictures: 0.412 → 0.603 (+0.191 ± 0.027) in
 * 7 min 12 s". */
std::string headline(const RunSummary& summary);

/** "Gained most: counting +0.312 ± 0.030. Lost: colors -0.031 ± 0.009."; only
 * changes that are sure for so many categories are named; "" without any. */
std::string category_sentence(const RunSummary& summary);

/** "While reward rose by 0.191 ± 0.027, clearly fell: diversity -0.020 ±
 * 0.003."; "" where the trained value did not clearly rise, or nothing else
 * fell and nothing watched rose. */
std::string price_sentence(const RunSummary& summary);

/** "rose", "fell", "no clear change" or "" (no error is known), where the
 * change is one of so many. */
std::string change_word(const Change& change, size_t statements);

/** All metrics before and after, with change_word(); no rows without a result.
 */
TextTable metric_table(const RunSummary& summary);

/** Its text with "(in 3 epochs, 2 to 9)" or "(in epoch 4)" behind it; alone of
 * the run as a whole. */
std::string warning_text(const WarningGroup& warning);

/** For a terminal of 80 columns, in ASCII, with a final newline. */
std::string summary_text(const RunRecord& record);

}  // namespace rsm::report
