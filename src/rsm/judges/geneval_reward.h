#pragma once

#include <memory>
#include <string>

#include "rsm/base/reward.h"
#include "rsm/rewards/rewards.h"

namespace rsm {

/** The reward geneval:PATH, by default models/geneval: whether pictures show
 * what GenEval's metadata asks for, by a detector (judges/detector.h), its
 * rules (judges/geneval_rules.h) and, for colours, a CLIP or hues
 * (judges/geneval_colours.h). PATH is read by judges/geneval_settings.h.
 *
 * The value is the metric "graded", Flow-GRPO's. "strict" is Flow-GRPO's
 * verdict, 0 or 1. GenEval's own is called "geneval-like", and "geneval" only
 * where the settings say that detector and CLIP are the published ones; results
 * are told in it. A black box. Read when it is first asked; check() throws
 * rsm::Error where a file is missing or the detector gives other shapes, and
 * score() for prompts whose metadata read_task (judges/geneval_task.h) refuses,
 * before a picture is looked at. */
std::unique_ptr<Reward> make_geneval(const RewardSpec& spec,
                                     const std::string& path);

}  // namespace rsm
