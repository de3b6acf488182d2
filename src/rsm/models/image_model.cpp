#include "rsm/models/image_model.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/models/loading.h"
#include "rsm/models/sd3_transformer.h"
#include "rsm/models/unet.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kWeights = "diffusion_pytorch_model";

/** What a family's folder consists of. */
struct Layout {
  const char* pipeline;
  const char* network_part;
  /** Part, library and class, of all that is there. */
  std::vector<std::array<const char*, 3>> parts;
  /** Parts of the pipeline that the shipped models do without. */
  std::vector<const char*> absent;
};

const Layout& layout_of(Path::Family family) {
  static const Layout flow = {
      "StableDiffusion3Pipeline",
      "transformer",
      {{"transformer", "diffusers", "SD3Transformer2DModel"},
       {"text_encoder", "transformers", "CLIPTextModelWithProjection"},
       {"tokenizer", "transformers", "CLIPTokenizer"},
       {"scheduler", "diffusers", "FlowMatchEulerDiscreteScheduler"}},
      {"text_encoder_2", "text_encoder_3", "tokenizer_2", "tokenizer_3",
       "vae"}};
  static const Layout diffusion = {
      "StableDiffusionPipeline",
      "unet",
      {{"unet", "diffusers", "UNet2DConditionModel"},
       {"text_encoder", "transformers", "CLIPTextModel"},
       {"tokenizer", "transformers", "CLIPTokenizer"},
       {"scheduler", "diffusers", "DDIMScheduler"}},
      {"feature_extractor", "image_encoder", "safety_checker", "vae"}};
  return family == Path::Family::flow ? flow : diffusion;
}

json model_index(const Layout& layout) {
  json index = {{"_class_name", layout.pipeline},
                {"_diffusers_version", "0.42.1"}};
  for (const auto& [part, library, name] : layout.parts) {
    index[part] = {library, name};
  }
  for (const char* part : layout.absent) {
    index[part] = {nullptr, nullptr};
  }
  return index;
}

/** Class of a part, "" where it has none. */
std::string class_of(const json& index, const std::string& part) {
  const auto found = index.find(part);
  return found != index.end() && found->is_array() && found->size() == 2 &&
                 (*found)[1].is_string()
             ? (*found)[1].get<std::string>()
             : "";
}

/** The family of a folder, whose parts are checked. */
Path::Family family_of(const std::string& folder) {
  const std::string path = folder + "/model_index.json";
  RSM_CHECK(std::filesystem::is_regular_file(path), "[ImageModel] ", folder,
            " has no model_index.json; a diffusers model folder is needed");
  const json index = read_json(path);
  for (const char* part : {"vae", "text_encoder_2", "text_encoder_3"}) {
    const std::string name = class_of(index, part);
    RSM_CHECK(name.empty(), "[ImageModel] ", path, ": ", part, " is ", name,
              "; only models with one text encoder and without VAE are "
              "supported so far");
  }
  const auto family = class_of(index, "unet").empty() ? Path::Family::flow
                                                      : Path::Family::diffusion;
  for (const auto& [part, library, needed] : layout_of(family).parts) {
    const std::string name = class_of(index, part);
    // Folders of Stable Diffusion 1.x name PNDMScheduler: the same noise.
    const bool same_noise =
        needed == std::string("DDIMScheduler") && name == "PNDMScheduler";
    RSM_CHECK(name == needed || same_noise, "[ImageModel] ", path, ": ", part,
              " is \"", name, "\"; \"", needed, "\" is needed");
  }
  return family;
}

Network empty_network(Path::Family family, const std::string& folder) {
  const std::string path = folder + "/config.json";
  if (family == Path::Family::flow) {
    return std::make_shared<Sd3TransformerImpl>(
        Sd3Config::from_json(read_json(path), path));
  }
  return std::make_shared<UnetImpl>(
      UnetConfig::from_json(read_json(path), path));
}

/** Nothing happens where the files lie at `to` already. */
void copy_tokenizer(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  const std::string source = from.empty() ? to : from;
  RSM_CHECK(fs::is_directory(source), "[ImageModel] no tokenizer folder \"",
            source, "\"; its files are needed to save a model");
  if (fs::exists(to) && fs::equivalent(source, to)) return;
  fs::create_directories(to);
  for (const auto& entry : fs::directory_iterator(source)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().filename().string();
    write_file_atomic(to + "/" + name, read_file(entry.path().string()));
  }
}

}  // namespace

ImageModel ImageModel::load(const std::string& folder) {
  const auto family = family_of(folder);
  const std::string part = folder + "/" + layout_of(family).network_part;
  const std::string text_json = folder + "/text_encoder/config.json";
  ImageModel model{
      empty_network(family, part),
      ClipTextModel(ClipTextConfig::from_json(read_json(text_json), text_json),
                    family == Path::Family::flow),
      ClipTokenizer::load(folder + "/tokenizer"), load_path(folder),
      folder + "/tokenizer"};
  load_parameters(*model.network, read_sharded(part, kWeights).tensors, part);
  load_parameters(
      *model.text_encoder,
      clip_text_names(read_sharded(folder + "/text_encoder", "model").tensors),
      folder + "/text_encoder");
  return model;
}

void ImageModel::save(const std::string& folder, torch::ScalarType type) const {
  namespace fs = std::filesystem;
  const Layout& layout = layout_of(path->family());
  const std::string part = folder + "/" + layout.network_part;
  const std::string text = folder + "/text_encoder";
  fs::create_directories(part);
  fs::create_directories(text);
  fs::create_directories(folder + "/scheduler");
  write_json_atomic(part + "/config.json", network->config_json());
  write_json_atomic(
      text + "/config.json",
      text_encoder->config().to_json(path->family() == Path::Family::flow));
  write_json_atomic(folder + "/scheduler/scheduler_config.json",
                    path->to_json());
  copy_tokenizer(tokenizer_folder, folder + "/tokenizer");
  write_safetensors(part + "/" + kWeights + ".safetensors",
                    converted(state_dict(*network), type), {{"format", "pt"}});
  write_safetensors(text + "/model.safetensors",
                    converted(state_dict(*text_encoder), type),
                    {{"format", "pt"}});
  write_json_atomic(folder + "/model_index.json", model_index(layout));
}

Condition ImageModel::encode_ids(const torch::Tensor& ids) const {
  const auto out = ClipTextModel(text_encoder)->forward(ids);
  if (path->family() == Path::Family::flow) {
    return {out.penultimate, out.text_embeds};
  }
  return {out.last_hidden_state, {}};
}

Condition ImageModel::encode(const std::vector<std::string>& texts) const {
  const torch::NoGradGuard no_grad;
  const auto device = text_encoder->parameters().front().device();
  return encode_ids(tokenizer.encode_batch(texts).to(device));
}

std::shared_ptr<const Path> load_path(const std::string& folder) {
  const auto family = family_of(folder);
  const std::string file = folder + "/scheduler/scheduler_config.json";
  const auto scheduler = read_json(file);
  auto path = Path::from_json(scheduler);
  const auto timesteps = scheduler.value("num_train_timesteps", 1000);
  RSM_CHECK(timesteps == 1000, "[ImageModel] ", file,
            " has num_train_timesteps ", timesteps,
            "; networks are asked at timesteps up to 1000: only 1000 is "
            "supported");
  RSM_CHECK(path->family() == family, "[ImageModel] ", file,
            " is of another family than the network beside it; ",
            class_of(model_index(layout_of(family)), "scheduler"),
            " is needed");
  return path;
}

torch::Tensor to_images(const torch::Tensor& latents) {
  return ((latents + 1) * 0.5).clamp(0, 1);
}

}  // namespace rsm
