#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rsm/base/reward.h"
#include "rsm/judges/onnx_pixels.h"
#include "rsm/rewards/rewards.h"

namespace rsm {

/** What a reward onnx:PATH judges with. */
struct OnnxRewardSettings {
  std::string network;  ///< an ONNX file
  int64_t size = 0;     ///< of the square it is shown, pixels; 0: see below
  OnnxPixels pixels;
  std::string output;  ///< the one that is the score; empty: the only one
};

/** Reads PATH: an ONNX file, or a JSON file (*.json) with its name, from where
 * it lies, as `network` and, if wanted, `size`, `output` and those of
 * read_pixels(). Throws rsm::Error naming file and key for wrong values and
 * unknown keys. */
OnnxRewardSettings read_onnx_settings(const std::string& path);

/** The files that a reward onnx:PATH rests on, there or not: also those that
 * exporters put large weights into, FILE.data and FILE_data. */
std::vector<std::string> onnx_places(const std::string& path);

/** The reward `onnx:PATH`: a network that takes pictures [B,3,H,W] in [0,1],
 * or as its settings say, and gives scores [B] or [B,1]. One that has a batch
 * or a size of its own is shown as many or as large: pictures of another size
 * are resized to it, bicubically with antialiasing. A black box, judged on the
 * CPU, in float32, picture by picture, spec.threads at once.
 *
 * check() shows it a black picture and one of noise. Throws rsm::Error, naming
 * the file and what the network says, where it cannot be read, takes or gives
 * other shapes, fails, or gives NaN. */
std::unique_ptr<Reward> make_onnx_reward(const RewardSpec& spec,
                                         const std::string& path);

}  // namespace rsm
