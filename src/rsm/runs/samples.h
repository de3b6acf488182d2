#pragma once

#include <string>

#include "rsm/runs/evaluation.h"

namespace rsm {

/** Keeps an evaluation in a run's folder as `name`, "before" or "after":
 * samples/NAME.png, a grid of the same prompts and noise each time, rows by
 * category, of tiles of at most 128 pixels;
 * samples/epoch-NNNNNN.png, the same grid with what it shows
 * (data/sample_sheet.h), which later evaluations leave there;
 * samples/prompts.json {columns, tile_width, tile_height, gap (pixels of the
 * grid), prompts, <metric>_<name>: [scores]}, a prompt and a score of `metric`
 * for each picture in it, row by row;
 * samples/scores-NAME.json, all scores (data/picture_scores.h).
 * "after" is first paired with what "before" left there (see pair_with).
 * No reason to end a run: what can't be read, paired or written is added to the
 * evaluation's warnings instead of thrown. */
void keep_evaluation(const std::string& run_folder, const std::string& name,
                     const std::string& metric, const EvaluationSet& set,
                     Evaluation& evaluation);

}  // namespace rsm
