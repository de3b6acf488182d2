#include "rsm/models/model_layout.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/printable.h"
#include "rsm/paths/scheduler_keys.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kVersion = "0.42.1";  // of diffusers

/** Class of a part, "" where it has none. */
std::string class_of(const json& index, const std::string& part) {
  const auto found = index.find(part);
  return found != index.end() && found->is_array() && found->size() == 2 &&
                 (*found)[1].is_string()
             ? (*found)[1].get<std::string>()
             : "";
}

bool reads(const ModelPart& part, const std::string& name) {
  return std::find(part.classes.begin(), part.classes.end(), name) !=
         part.classes.end();
}

void check_class(const JsonFields& fields, const ModelPart& part,
                 const std::string& name) {
  const bool scheduler = part.name == std::string("scheduler");
  RSM_CHECK(!scheduler || reads(part, name), fields.where(), ": ",
            other_scheduler("\"" + shown(name) + "\""));
  const std::vector<std::string> classes(part.classes.begin(),
                                         part.classes.end());
  RSM_CHECK(reads(part, name), fields.where(), ": ", part.name, " is \"",
            shown(name), "\"; \"", join(classes, "\" or \""), "\" is needed");
}

/** What a folder of several encoders must have beside each. */
void check_pairs(const JsonFields& fields, const ModelFolder& folder) {
  const auto together = [&](const char* one, const char* other) {
    RSM_CHECK(!folder.has(one) || folder.has(other), fields.where(), ": ", one,
              " is there without ", other, "; both or none are needed");
  };
  together("text_encoder_2", "tokenizer_2");
  together("tokenizer_2", "text_encoder_2");
  together("text_encoder_3", "tokenizer_3");
  together("tokenizer_3", "text_encoder_3");
  together("text_encoder_3", "text_encoder_2");
}

}  // namespace

const ModelLayout& layout_of(Family family) {
  static const std::vector<const char*> clip_tokenizer = {"CLIPTokenizer",
                                                          "CLIPTokenizerFast"};
  static const std::vector<const char*> vae = {"AutoencoderKL",
                                               "AutoencoderTiny"};
  static const ModelLayout flow = {
      "StableDiffusion3Pipeline",
      "transformer",
      {{"transformer", "diffusers", {"SD3Transformer2DModel"}, true},
       {"text_encoder", "transformers", {"CLIPTextModelWithProjection"}, true},
       {"tokenizer", "transformers", clip_tokenizer, true},
       {"scheduler", "diffusers", {"FlowMatchEulerDiscreteScheduler"}, true},
       {"text_encoder_2",
        "transformers",
        {"CLIPTextModelWithProjection"},
        false},
       {"tokenizer_2", "transformers", clip_tokenizer, false},
       {"text_encoder_3", "transformers", {"T5EncoderModel"}, false},
       {"tokenizer_3",
        "transformers",
        {"T5TokenizerFast", "T5Tokenizer"},
        false},
       {"vae", "diffusers", vae, false}},
      {}};
  static const ModelLayout diffusion = {
      "StableDiffusionPipeline",
      "unet",
      {{"unet", "diffusers", {"UNet2DConditionModel"}, true},
       {"text_encoder", "transformers", {"CLIPTextModel"}, true},
       {"tokenizer", "transformers", clip_tokenizer, true},
       // Folders of Stable Diffusion 1.x name PNDMScheduler: the same noise.
       {"scheduler", "diffusers", {"DDIMScheduler", "PNDMScheduler"}, true},
       {"vae", "diffusers", vae, false}},
      {"feature_extractor", "image_encoder", "safety_checker"}};
  return family == Family::flow ? flow : diffusion;
}

ModelFolder open_model_folder(const std::string& path) {
  const std::string file = path + "/model_index.json";
  RSM_CHECK(is_file(file), "[ImageModel] ", path,
            " has no model_index.json; a diffusers model folder is needed");
  const json index = read_python_json(file);
  const JsonFields fields(index, "[ImageModel] " + file);
  ModelFolder folder{
      path,
      class_of(index, "unet").empty() ? Family::flow : Family::diffusion,
      {}};
  const auto& layout = layout_of(folder.family);
  for (const auto& part : layout.parts) {
    const std::string name = class_of(index, part.name);
    if (name.empty() && !part.needed) continue;
    check_class(fields, part, name);
    folder.parts.insert(part.name);
  }
  std::string pipeline = layout.pipeline;
  fields.choice("_class_name", pipeline, {layout.pipeline});
  check_pairs(fields, folder);
  return folder;
}

json model_index(Family family, const std::set<std::string>& parts) {
  const auto& layout = layout_of(family);
  json index = {{"_class_name", layout.pipeline},
                {"_diffusers_version", kVersion}};
  for (const auto& part : layout.parts) {
    index[part.name] = parts.contains(part.name)
                           ? json{part.library, part.classes.front()}
                           : json{nullptr, nullptr};
  }
  for (const char* part : layout.passed_over) index[part] = {nullptr, nullptr};
  return index;
}

}  // namespace rsm
