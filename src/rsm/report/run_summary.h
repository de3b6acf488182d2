#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/report/run_record.h"

namespace rsm {

/** A mean before training and now. Numbers are NaN where not known: with a
 * single evaluation, all of `after`. */
struct Change {
  double before = 0;
  double after = 0;
  double error_before = 0;  ///< standard errors of the two means
  double error_after = 0;

  double gain() const { return after - before; }
  /** Of the gain, as if the two sets of pictures were independent; sharing
   * prompts and seeds makes the true one smaller. */
  double error() const;
};

struct CategoryChange {
  std::string name;  ///< with spaces for underscores
  int64_t images = 0;
  Change change;
};

/** Lines of warnings that differ in their numbers only. */
struct WarningGroup {
  std::string text;  ///< the last one's
  int64_t epochs = 0;
  int64_t last_epoch = 0;
};

/** What a run came to, in one look. */
struct RunSummary {
  enum class Verdict {
    unknown,  ///< no evaluation after the first
    better,   ///< by more than two standard errors
    same,
    worse,
    suspicious,  ///< better, with more texture or less diversity
  };

  Verdict verdict = Verdict::unknown;
  std::string metric;
  int64_t images = 0;  ///< pictures of the last evaluation
  Change main;
  std::vector<CategoryChange> categories;  ///< largest gain first
  double best = 0;  ///< of the main metric over all evaluations, or NaN
  int64_t best_epoch = 0;
  double texture_before = 0;  ///< background texture, or NaN
  double texture_after = 0;
  double diversity_before = 0;  ///< of pictures of one prompt, or NaN
  double diversity_after = 0;
  double drift = 0;    ///< KL per latent element at the last evaluation, or NaN
  double seconds = 0;  ///< until the last evaluation, or NaN
  int64_t epoch = 0;   ///< of the last line
  bool finished = false;
  std::vector<WarningGroup> warnings;  ///< of the log, then of this summary

  /** after / before; NaN where there was none before. */
  double texture_ratio() const;
  double diversity_ratio() const;
};

/** More texture than this times the base model's counts as suspicious. */
inline constexpr double kTextureLimit = 1.5;
/** Less diversity than this times the base model's, too. */
inline constexpr double kDiversityLimit = 0.67;

RunSummary summarise(const RunRecord& record);

/** "The model got better", in at most ten words. */
std::string verdict_text(const RunSummary& summary);

/** "Strict score on 640 held-out pictures: 0.412 -> 0.603 (+0.191 +- 0.027) in
 * 7 min 12 s", with the arrow and the sign as given. */
std::string headline(const RunSummary& summary, const std::string& arrow = "->",
                     const std::string& plus_minus = "+-");

/** "Most gained: counting +0.312, position +0.280. Lost: colors -0.031."; only
 * changes beyond two standard errors are named; "" without categories. */
std::string category_sentence(const RunSummary& summary);

/** "background texture 1.1x the base model's"; "" where it is not known. */
std::string texture_sentence(const RunSummary& summary,
                             const std::string& times = "x");

/** For a terminal of 80 columns, in ASCII, with a final newline. */
std::string summary_text(const RunRecord& record);

}  // namespace rsm
