#include "rsm/judges/judge_memory.h"

#include <filesystem>

#include "rsm/io/files.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/clip_towers.h"
#include "rsm/judges/network_reward.h"
#include "rsm/models/activation_memory.h"
#include "rsm/models/loading.h"

namespace rsm {

namespace {

/** Of a CLIP that judges. */
JudgeMemory clip_memory(const RewardSpec& spec, const std::string& path,
                        bool texts, int64_t pictures) {
  const auto read = read_judge("reward " + spec.name, path);
  const auto vision = clip_configs(read, texts).vision;
  double numbers = 0;
  for (const auto& [name, tensor] :
       texts ? read.tensors : clip_vision_names(clip_tensors(read))) {
    numbers += static_cast<double>(tensor.numel());
  }
  const int64_t bytes = at::elementSize(type_named(spec.type));
  return {
      numbers * static_cast<double>(bytes),
      vision_gradient_memory(vision, NetworkReward::rows_of(pictures), bytes)};
}

}  // namespace

JudgeMemory judge_memory(const RewardSpec& spec, int64_t pictures) {
  const bool texts = !judge_of(spec.name).starts_with("aesthetic");
  JudgeMemory out;
  for (const auto& place : network_places(spec.name)) {
    if (!is_there(place)) continue;
    if (!is_folder(place) && !place.ends_with(".safetensors")) {
      out.weights += static_cast<double>(std::filesystem::file_size(place));
      continue;
    }
    const auto clip = clip_memory(spec, place, texts, pictures);
    out.weights += clip.weights;
    out.gradient += clip.gradient;
  }
  return out;
}

}  // namespace rsm
