#include "rsm/judges/judge_memory.h"

#include <algorithm>
#include <filesystem>

#include "rsm/io/files.h"
#include "rsm/judges/all_rewards.h"
#include "rsm/judges/clip_towers.h"
#include "rsm/judges/network_reward.h"
#include "rsm/models/activation_memory.h"
#include "rsm/models/loading.h"

namespace rsm {

JudgeMemory judge_memory(const RewardSpec& spec, int64_t pictures) {
  const auto colon = spec.name.find(':');
  const auto kind = spec.name.substr(0, colon);
  const auto networks = network_reward_names();
  if (std::count(networks.begin(), networks.end(), kind) == 0) return {};
  const auto path = colon == std::string::npos ? default_place(kind)
                                               : spec.name.substr(colon + 1);
  if (!is_there(path)) return {};
  if (kind == "torchscript") {
    return {.weights = static_cast<double>(std::filesystem::file_size(path))};
  }
  const auto read = read_judge("reward " + spec.name, path);
  const int64_t bytes = at::elementSize(type_named(spec.type));
  const bool texts = kind != "aesthetic";
  const auto vision = clip_configs(read, texts).vision;
  double numbers = 0;
  for (const auto& [name, tensor] :
       texts ? read.tensors : clip_vision_names(clip_tensors(read))) {
    numbers += static_cast<double>(tensor.numel());
  }
  return {
      numbers * static_cast<double>(bytes),
      vision_gradient_memory(vision, NetworkReward::rows_of(pictures), bytes)};
}

}  // namespace rsm
