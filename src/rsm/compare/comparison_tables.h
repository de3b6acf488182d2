#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "rsm/compare/comparison.h"
#include "rsm/plot/text_table.h"

namespace rsm::report {

/** Scores are shown to the third decimal, as in a run's own report. */
inline constexpr int kScoreDecimals = 3;
/** Letters of a name in a plot's legend. */
inline constexpr size_t kLegendLetters = 46;

/** How much a table's cells may say. */
enum class Width { terminal, page };

/** Scores before and after training, drift and what is watched: one row a
 * setting. */
TextTable result_table(const Comparison& comparison, Width width);

/** What training took. */
TextTable cost_table(const Comparison& comparison);

/** What it took until the target; without rows where there is no target. */
TextTable target_table(const Comparison& comparison, Width width);

/** One row a run. */
TextTable run_table(const Comparison& comparison);

/** The config's keys in which settings differ; without rows where there is one
 * setting. */
TextTable setting_table(const Comparison& comparison);

/** How the tables are meant, in sentences. */
std::vector<std::string> reading_notes(const Comparison& comparison);

/** "Highest strict score: name, 0.459 ± 0.012 (before: 0.338), above
 * other by 0.100 ± 0.020.", saying so where the lead may be chance
 * or no error is known, and "Soonest to 0.4: name, in 1
 * min 20 s, 2.1× sooner than other."; as far as there are results. */
std::vector<std::string> headlines(const Comparison& comparison);

/** The settings' labels in at most so many letters; where some are longer, all
 * are numbered and those are cut: "2 name, train.lr=...". */
std::vector<std::string> short_names(const Comparison& comparison,
                                     size_t letters);

/** "3 settings, 9 runs" */
std::string size_text(const Comparison& comparison);

/** For a terminal of about 100 columns, in ASCII, with a final newline. */
std::string comparison_text(const Comparison& comparison);

}  // namespace rsm::report
