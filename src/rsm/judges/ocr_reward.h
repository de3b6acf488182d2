#pragma once

#include <memory>
#include <string>

#include "rsm/base/reward.h"
#include "rsm/rewards/rewards.h"

namespace rsm {

/** The reward ocr:PATH, by default models/ocr: whether a picture shows the text
 * that its prompt quotes (judges/ocr_score.h), as an engine reads it. PATH is
 * read by judges/ocr_settings.h.
 *
 * The value is the score, in [0,1]. Results are told in it by the engine's
 * name, the metric "pp-ocr" (judges/pp_ocr.h) or "tesseract"
 * (judges/tesseract_ocr.h); "exact" is 1 where all of the text is there, and 0
 * otherwise. A black box. Read when it is first asked; check() throws
 * rsm::Error where a file is missing or gives other shapes, and score() for a
 * prompt that quotes nothing, before a picture is looked at. */
std::unique_ptr<Reward> make_ocr_reward(const RewardSpec& spec,
                                        const std::string& path);

}  // namespace rsm
