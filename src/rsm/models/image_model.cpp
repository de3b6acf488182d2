#include "rsm/models/flow_model.h"

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kWeights = "diffusion_pytorch_model";

/** Parts of StableDiffusion3Pipeline that the shipped models do without. */
json model_index() {
  const json none = {nullptr, nullptr};
  return {{"_class_name", "StableDiffusion3Pipeline"},
          {"_diffusers_version", "0.42.1"},
          {"scheduler", {"diffusers", "FlowMatchEulerDiscreteScheduler"}},
          {"text_encoder", {"transformers", "CLIPTextModelWithProjection"}},
          {"text_encoder_2", none},
          {"text_encoder_3", none},
          {"tokenizer", {"transformers", "CLIPTokenizer"}},
          {"tokenizer_2", none},
          {"tokenizer_3", none},
          {"transformer", {"diffusers", "SD3Transformer2DModel"}},
          {"vae", none}};
}

void check_index(const std::string& folder) {
  const std::string path = folder + "/model_index.json";
  RSM_CHECK(std::filesystem::is_regular_file(path), "[FlowModel] ", folder,
            " has no model_index.json; a diffusers model folder is needed");
  const json index = read_json(path);
  const auto class_of = [&](const char* part) -> std::string {
    const auto found = index.find(part);
    return found != index.end() && found->is_array() && found->size() == 2 &&
                   (*found)[1].is_string()
               ? (*found)[1].get<std::string>()
               : "";
  };
  for (const char* part : {"vae", "text_encoder_2", "text_encoder_3"}) {
    RSM_CHECK(class_of(part).empty(), "[FlowModel] ", path, ": ", part, " is ",
              class_of(part),
              "; only models with one text encoder and without VAE are "
              "supported so far");
  }
  const std::vector<std::pair<const char*, const char*>> needed = {
      {"transformer", "SD3Transformer2DModel"},
      {"text_encoder", "CLIPTextModelWithProjection"},
      {"tokenizer", "CLIPTokenizer"},
      {"scheduler", "FlowMatchEulerDiscreteScheduler"}};
  for (const auto& [part, name] : needed) {
    RSM_CHECK(class_of(part) == name, "[FlowModel] ", path, ": ", part,
              " is \"", class_of(part), "\"; \"", name, "\" is needed");
  }
}

/** Nothing happens where the files lie at `to` already. */
void copy_tokenizer(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  const std::string source = from.empty() ? to : from;
  RSM_CHECK(fs::is_directory(source), "[FlowModel] no tokenizer folder \"",
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

FlowModel FlowModel::load(const std::string& folder) {
  check_index(folder);
  const std::string transformer_json = folder + "/transformer/config.json";
  const std::string text_json = folder + "/text_encoder/config.json";
  FlowModel model{
      Sd3Transformer(
          Sd3Config::from_json(read_json(transformer_json), transformer_json)),
      ClipTextModel(ClipTextConfig::from_json(read_json(text_json), text_json),
                    true),
      ClipTokenizer::load(folder + "/tokenizer"),
      FlowMatchSchedule::from_json(
          read_json(folder + "/scheduler/scheduler_config.json")),
      folder + "/tokenizer"};
  load_parameters(*model.transformer,
                  read_sharded(folder + "/transformer", kWeights).tensors,
                  folder + "/transformer");
  load_parameters(
      *model.text_encoder,
      clip_text_names(read_sharded(folder + "/text_encoder", "model").tensors),
      folder + "/text_encoder");
  return model;
}

void FlowModel::save(const std::string& folder, torch::ScalarType type) const {
  namespace fs = std::filesystem;
  for (const char* part : {"transformer", "text_encoder", "scheduler"}) {
    fs::create_directories(fs::path(folder) / part);
  }
  write_json_atomic(folder + "/transformer/config.json",
                    transformer->config().to_json());
  write_json_atomic(folder + "/text_encoder/config.json",
                    text_encoder->config().to_json(true));
  write_json_atomic(folder + "/scheduler/scheduler_config.json",
                    schedule.to_json());
  copy_tokenizer(tokenizer_folder, folder + "/tokenizer");
  write_safetensors(folder + "/transformer/" + kWeights + ".safetensors",
                    converted(state_dict(*transformer), type),
                    {{"format", "pt"}});
  write_safetensors(folder + "/text_encoder/model.safetensors",
                    converted(state_dict(*text_encoder), type),
                    {{"format", "pt"}});
  write_json_atomic(folder + "/model_index.json", model_index());
}

Condition FlowModel::encode_ids(const torch::Tensor& ids) const {
  const auto out = ClipTextModel(text_encoder)->forward(ids);
  return {out.penultimate, out.text_embeds};
}

Condition FlowModel::encode(const std::vector<std::string>& texts) const {
  const torch::NoGradGuard no_grad;
  const auto device = text_encoder->parameters().front().device();
  return encode_ids(tokenizer.encode_batch(texts).to(device));
}

std::vector<int64_t> FlowModel::latent_shape() const {
  const auto& config = transformer->config();
  return {config.in_channels, config.sample_size, config.sample_size};
}

Sd3Transformer copy_of(const Sd3Transformer& model, torch::ScalarType type,
                       torch::Device device) {
  Sd3Transformer copy(model->config());
  copy->to(device, type);
  load_parameters(*copy, state_dict(*model), "copy_of");
  return copy;
}

torch::Tensor to_images(const torch::Tensor& latents) {
  return ((latents + 1) * 0.5).clamp(0, 1);
}

}  // namespace rsm
