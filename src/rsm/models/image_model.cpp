#include "rsm/models/image_model.h"

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/printable.h"
#include "rsm/io/sharded.h"
#include "rsm/models/loading.h"
#include "rsm/models/sd3_transformer.h"
#include "rsm/models/unet.h"
#include "rsm/paths/scheduler_keys.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kWeights = "diffusion_pytorch_model";
constexpr const char* kTextWeights = "model";

/** Networks are asked at timesteps up to this. */
constexpr int64_t kTimesteps = 1000;

constexpr size_t kTextsAtOnce = 16;

std::string scheduler_file(const std::string& folder) {
  return folder + "/scheduler/scheduler_config.json";
}

/** What a family's folder consists of. */
struct Layout {
  const char* pipeline;
  const char* network_part;
  /** Part, library and class, of all that is there. */
  std::vector<std::array<const char*, 3>> parts;
  /** Parts of the pipeline that the shipped models do without. */
  std::vector<const char*> absent;
};

const Layout& layout_of(Family family) {
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
  return family == Family::flow ? flow : diffusion;
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
Family family_of(const std::string& folder) {
  const std::string path = folder + "/model_index.json";
  std::error_code ignored;
  RSM_CHECK(std::filesystem::is_regular_file(path, ignored), "[ImageModel] ",
            folder,
            " has no model_index.json; a diffusers model folder is needed");
  const json index = read_python_json(path);
  const JsonFields fields(index, "[ImageModel] " + path);
  for (const char* part : {"vae", "text_encoder_2", "text_encoder_3"}) {
    const std::string name = class_of(index, part);
    RSM_CHECK(name.empty(), fields.where(), ": ", part, " is ", shown(name),
              "; only models with one text encoder and without VAE are "
              "supported so far");
  }
  const auto family =
      class_of(index, "unet").empty() ? Family::flow : Family::diffusion;
  for (const auto& [part, library, needed] : layout_of(family).parts) {
    const std::string name = class_of(index, part);
    // Folders of Stable Diffusion 1.x name PNDMScheduler: the same noise.
    const bool same_noise =
        needed == std::string("DDIMScheduler") && name == "PNDMScheduler";
    RSM_CHECK(part != std::string("scheduler") || name == needed || same_noise,
              fields.where(), ": ", other_scheduler("\"" + shown(name) + "\""));
    RSM_CHECK(name == needed || same_noise, fields.where(), ": ", part,
              " is \"", shown(name), "\"; \"", needed, "\" is needed");
  }
  return family;
}

/** The config in a network's folder, whose sizes are those of its weights. */
template <typename Config>
Config config_of(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const auto config = Config::from_json(read_python_json(path), path);
  check_shapes(config.anchors(), read_sharded_shapes(folder, kWeights), folder);
  return config;
}

/** A network of the folder's config. */
Network empty_network(Family family, const std::string& folder) {
  if (family == Family::flow) {
    return std::make_shared<Sd3TransformerImpl>(config_of<Sd3Config>(folder));
  }
  return std::make_shared<UnetImpl>(config_of<UnetConfig>(folder));
}

ClipTextConfig text_config_of(const std::string& folder) {
  const std::string path = folder + "/text_encoder/config.json";
  return ClipTextConfig::from_json(read_python_json(path), path);
}

/** The same, whose sizes are those of its weights. */
ClipTextConfig checked_text_config(const std::string& folder, bool projection) {
  const auto config = text_config_of(folder);
  const std::string part = folder + "/text_encoder";
  check_shapes(config.anchors(projection),
               clip_text_names(read_sharded_shapes(part, kTextWeights)), part);
  return config;
}

ClipTextModel load_text_encoder(const std::string& folder, bool projection) {
  ClipTextModel model(checked_text_config(folder, projection), projection);
  const std::string part = folder + "/text_encoder";
  load_parameters(
      *model, clip_text_names(view_sharded(part, kTextWeights).tensors), part);
  return model;
}

ClipTokenizer load_tokenizer(const std::string& folder,
                             const ClipTextConfig& text) {
  const std::string part = folder + "/tokenizer";
  auto tokenizer = ClipTokenizer::load(part, text.max_position_embeddings);
  RSM_CHECK(tokenizer.max_length() <= text.max_position_embeddings,
            "[ImageModel] ", part, ": model_max_length is ",
            tokenizer.max_length(), "; the text encoder takes at most ",
            text.max_position_embeddings, " (max_position_embeddings)");
  RSM_CHECK(tokenizer.vocabulary_size() <= text.vocab_size, "[ImageModel] ",
            part, " has ids up to ", tokenizer.vocabulary_size() - 1,
            "; the text encoder has ", text.vocab_size,
            " tokens (vocab_size): added tokens need their embeddings");
  return tokenizer;
}

/** The files of a part of a model. Nothing happens where they lie at `to`
 * already. */
void copy_part(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  std::error_code failed;
  RSM_CHECK(fs::is_directory(from, failed), "[ImageModel] no folder \"", from,
            "\"; its files are needed to save a model");
  if (fs::equivalent(from, to, failed)) return;
  make_folders(to);
  fs::directory_iterator entry(from, failed), end;
  for (; !failed && entry != end; entry.increment(failed)) {
    if (!entry->is_regular_file(failed)) continue;
    const std::string name = entry->path().filename().string();
    copy_file_atomic(entry->path().string(), to + "/" + name);
  }
  RSM_CHECK(!failed, "[ImageModel] cannot read ", from, ": ", failed.message());
}

void write_network(const std::string& part, const StateDict& weights,
                   torch::ScalarType type) {
  write_safetensors(part + "/" + kWeights + ".safetensors",
                    converted(weights, type), {{"format", "pt"}});
}

}  // namespace

ImageModel ImageModel::load(const std::string& folder) {
  const auto family = family_of(folder);
  const std::string part = folder + "/" + layout_of(family).network_part;
  auto path = load_path(folder);
  auto tokenizer = load_tokenizer(folder);
  ImageModel model{empty_network(family, part),
                   load_text_encoder(folder, family == Family::flow),
                   std::move(tokenizer), std::move(path),
                   folder + "/tokenizer"};
  load_parameters(*model.network, view_sharded(part, kWeights).tensors, part);
  return model;
}

void check_model(const std::string& folder) {
  const auto family = load_path(folder)->family();
  const std::string part = folder + "/" + layout_of(family).network_part;
  load_tokenizer(folder);
  if (family == Family::flow) {
    config_of<Sd3Config>(part);
  } else {
    config_of<UnetConfig>(part);
  }
  checked_text_config(folder, family == Family::flow);
}

ClipTokenizer load_tokenizer(const std::string& folder) {
  return load_tokenizer(folder, text_config_of(folder));
}

void ImageModel::save(const std::string& folder, torch::ScalarType type) const {
  const Layout& layout = layout_of(path->family());
  const std::string part = folder + "/" + layout.network_part;
  const std::string text = folder + "/text_encoder";
  make_folders(part);
  make_folders(text);
  make_folders(folder + "/scheduler");
  write_json_atomic(part + "/config.json", network->config_json());
  write_json_atomic(text + "/config.json", text_encoder->config().to_json(
                                               path->family() == Family::flow));
  write_json_atomic(folder + "/scheduler/scheduler_config.json",
                    path->to_json());
  copy_part(tokenizer_folder.empty() ? folder + "/tokenizer" : tokenizer_folder,
            folder + "/tokenizer");
  write_network(part, state_dict(*network), type);
  write_safetensors(text + "/model.safetensors",
                    converted(state_dict(*text_encoder), type),
                    {{"format", "pt"}});
  write_json_atomic(folder + "/model_index.json", model_index(layout));
}

void save_with_weights(const std::string& from, const std::string& to,
                       const StateDict& network, torch::ScalarType type) {
  const Layout& layout = layout_of(family_of(from));
  for (const auto& [part, library, name] : layout.parts) {
    const auto place = cat("/", part);
    if (part != std::string(layout.network_part)) {
      copy_part(from + place, to + place);
      continue;
    }
    make_folders(to + place);
    copy_file_atomic(from + place + "/config.json",
                     to + place + "/config.json");
    write_network(to + place, network, type);
  }
  copy_file_atomic(from + "/model_index.json", to + "/model_index.json");
}

Condition ImageModel::encode_ids(const torch::Tensor& ids) const {
  const auto out = ClipTextModel(text_encoder)->forward(ids);
  if (path->family() == Family::flow) {
    return {out.penultimate, out.text_embeds};
  }
  return {out.last_hidden_state, {}};
}

Condition ImageModel::encode(const std::vector<std::string>& texts) const {
  const torch::NoGradGuard no_grad;
  const auto device = text_encoder->parameters().front().device();
  std::vector<torch::Tensor> tokens, pooled;
  for (size_t first = 0; first < texts.size(); first += kTextsAtOnce) {
    const size_t count = std::min(kTextsAtOnce, texts.size() - first);
    const auto begin = texts.begin() + static_cast<std::ptrdiff_t>(first);
    std::vector<std::string> some(begin,
                                  begin + static_cast<std::ptrdiff_t>(count));
    some.resize(kTextsAtOnce);
    const auto out = encode_ids(tokenizer.encode_batch(some).to(device));
    const auto rows = static_cast<int64_t>(count);
    tokens.push_back(out.tokens.slice(0, 0, rows));
    if (out.pooled.defined()) pooled.push_back(out.pooled.slice(0, 0, rows));
  }
  return {at::cat(tokens), pooled.empty() ? torch::Tensor() : at::cat(pooled)};
}

std::vector<int64_t> ImageModel::latent_shape(
    const std::vector<int64_t>& size) const {
  if (size.empty()) return network->latent_shape();
  const int64_t scale = decoder->scale();
  RSM_CHECK(size.size() == 2 && size[0] % scale == 0 && size[1] % scale == 0,
            "[ImageModel] pictures of ", at::IntArrayRef(size),
            " pixels arrived; height and width must be multiples of ", scale);
  return network->latent_shape(size[0] / scale, size[1] / scale);
}

std::shared_ptr<const Path> load_path(const std::string& folder) {
  const auto family = family_of(folder);
  const std::string file = scheduler_file(folder);
  const auto scheduler = read_python_json(file);
  std::shared_ptr<const Path> path;
  try {
    path = Path::from_json(scheduler);
  } catch (const Error& wrong) {
    throw Error(cat(wrong.what(), " (", file, ")"));
  }
  int64_t timesteps = kTimesteps;
  JsonFields(scheduler, "[ImageModel] " + file)
      .integer("num_train_timesteps", timesteps, kTimesteps, kTimesteps);
  RSM_CHECK(path->family() == family, "[ImageModel] ", file,
            " is of another family than the network beside it; ",
            class_of(model_index(layout_of(family)), "scheduler"),
            " is needed");
  return path;
}

std::vector<std::string> folder_warnings(const std::string& folder) {
  const std::string file = scheduler_file(folder);
  const auto left = Path::leftovers(read_python_json(file));
  if (left.empty()) return {};
  return {cat(file, ": ", join(left), left.size() == 1 ? " is" : " are",
              " left from another scheduler, or from diffusers of 2022, and "
              "passed over, as in diffusers")};
}

std::string truncation_warning(const ClipTokenizer& tokenizer,
                               const std::vector<std::string>& texts,
                               const std::string& what) {
  std::string example;
  size_t cut = 0;
  for (const auto& text : texts) {
    if (!tokenizer.cuts(text)) continue;
    if (cut++ == 0) example = text;
  }
  if (cut == 0) return "";
  return cat(cut, " of ", texts.size(), " ", what, cut == 1 ? " is" : " are",
             " longer than the ", tokenizer.max_length() - 2,
             " tokens of text that the text encoder reads: it sees the "
             "beginning, judges get all. \"",
             shown(example), "\"");
}

std::shared_ptr<const Decoder> pixel_decoder() {
  class Pixels : public Decoder {
   public:
    torch::Tensor decode(const torch::Tensor& latents) const override {
      return ((latents + 1) * 0.5).clamp(0, 1).to(at::kCPU);
    }
    int64_t scale() const override { return 1; }
  };
  static const auto decoder = std::make_shared<const Pixels>();
  return decoder;
}

}  // namespace rsm
