#include "rsm/judges/all_rewards.h"

#include <algorithm>

#include "rsm/judges/clip_reward.h"
#include "rsm/judges/geneval_reward.h"
#include "rsm/judges/geneval_settings.h"
#include "rsm/judges/judge_files.h"
#include "rsm/judges/ocr_reward.h"
#include "rsm/judges/ocr_settings.h"
#include "rsm/judges/onnx_reward.h"
#include "rsm/judges/torchscript_reward.h"

namespace rsm {
namespace {

constexpr const char* kGeneval = "geneval";
constexpr const char* kOcr = "ocr";
constexpr const char* kOnnx = "onnx";

/** The one list of rewards that are networks. */
const std::vector<RewardMaker>& makers() {
  static const std::vector<RewardMaker> all = {
      {"aesthetic", make_aesthetic},   {"clip-score", make_clip_score},
      {"pick-score", make_pick_score}, {"hps-v2", make_hps},
      {"hps-v2.1", make_hps},          {"torchscript", make_torchscript_reward},
      {kGeneval, make_geneval},        {kOcr, make_ocr_reward},
      {kOnnx, make_onnx_reward},
  };
  return all;
}

}  // namespace

std::vector<std::string> network_reward_names() {
  std::vector<std::string> names;
  for (const auto& maker : makers()) names.push_back(maker.name);
  return names;
}

std::vector<std::string> network_places(const std::string& reward) {
  const std::string name = judge_of(reward);
  const auto names = network_reward_names();
  const size_t colon = name.find(':');
  const std::string word = name.substr(0, colon);
  if (std::count(names.begin(), names.end(), word) == 0) return {};
  const std::string path =
      colon == std::string::npos ? default_place(word) : name.substr(colon + 1);
  if (word == kGeneval) return geneval::places_of(path);
  if (word == kOcr) return ocr_places(path);
  if (word == kOnnx) return onnx_places(path);
  return {path};
}

std::unique_ptr<Reward> make_any_reward(const RewardSpec& spec,
                                        const Progress& progress) {
  return make_reward(spec, progress, makers());
}

std::unique_ptr<Reward> make_any_rewards(const std::vector<RewardSpec>& specs,
                                         const Progress& progress) {
  return make_rewards(specs, progress, makers());
}

}  // namespace rsm
