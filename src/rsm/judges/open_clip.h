#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "rsm/io/safetensors.h"
#include "rsm/models/clip_vision.h"
#include "rsm/text/clip_text.h"

/** CLIPs in the layout of OpenCLIP (github.com/mlfoundations/open_clip), which
 * is that of OpenAI's own code: the same networks under other names. */
namespace rsm {

struct ClipConfigs {
  ClipVisionConfig vision;
  ClipTextConfig text;
};

/** Whether names are those of OpenCLIP, by "visual.conv1.weight". */
bool is_open_clip(const TensorShapes& shapes);

/** The configs of tensors of these shapes. `config` is open_clip_config.json or
 * null: the number of heads and the activation stand in it alone. Without it
 * they are known of ViT-H/14 (1280 and 1024 wide). Texts end at their largest
 * id, as in OpenCLIP. Throws rsm::Error naming `origin` for anything else. */
ClipConfigs open_clip_configs(const TensorShapes& shapes,
                              const nlohmann::json& config,
                              const std::string& origin);

/** The tensors by the names of transformers' CLIPModel: q, k and v apart,
 * projections [P,E]. Parts of a tensor are views of it. What the
 * networks don't compute with (attn_mask and sizes) is left out; names that are
 * unknown stay as they are. */
StateDict open_clip_names(const StateDict& named);

}  // namespace rsm
