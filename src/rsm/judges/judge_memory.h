#pragma once

#include <cstdint>

#include "rsm/rewards/rewards.h"

namespace rsm {

/** What a reward that is a network holds on its device, in bytes. */
struct JudgeMemory {
  double weights = 0;
  double gradient = 0;  ///< for the gradient of the pictures asked about
};

/** Counted from configs and the headers of weights; no weight is read. Of
 * exported networks (torchscript, onnx, ocr, geneval's detector) their files'
 * size alone: what they keep is not known. Of other rewards, and where no file
 * lies, nothing. Throws rsm::Error for files that are no judge's. */
JudgeMemory judge_memory(const RewardSpec& spec, int64_t pictures);

}  // namespace rsm
