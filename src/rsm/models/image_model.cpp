#include "rsm/models/image_model.h"

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
#include "rsm/models/vae.h"
#include "rsm/paths/scheduler_keys.h"

namespace rsm {
namespace {

using nlohmann::json;

/** Networks are asked at timesteps up to this. */
constexpr int64_t kTrainTimesteps = 1000;

std::string scheduler_file(const std::string& folder) {
  return folder + "/scheduler/scheduler_config.json";
}

/** The path of a folder's scheduler, which is of its network's family. */
std::shared_ptr<const Path> path_of(const ModelFolder& folder) {
  const std::string file = scheduler_file(folder.path);
  const auto scheduler = read_python_json(file);
  std::shared_ptr<const Path> path;
  try {
    path = Path::from_json(scheduler);
  } catch (const Error& wrong) {
    throw Error(cat(wrong.what(), " (", file, ")"));
  }
  int64_t timesteps = kTrainTimesteps;
  JsonFields(scheduler, "[ImageModel] " + file)
      .integer("num_train_timesteps", timesteps, kTrainTimesteps,
               kTrainTimesteps);
  RSM_CHECK(path->family() == folder.family, "[ImageModel] ", file,
            " is of another family than the network beside it; ",
            folder.family == Family::flow ? "FlowMatchEulerDiscreteScheduler"
                                          : "DDIMScheduler",
            " is needed");
  return path;
}

/** The config in a network's folder, whose sizes are those of its weights. */
template <typename Config>
Config config_of(const std::string& folder) {
  const std::string path = folder + "/config.json";
  const auto config = Config::from_json(read_python_json(path), path);
  check_shapes(config.anchors(), read_sharded_shapes(folder, kDiffusersWeights),
               folder);
  return config;
}

/** A network of the folder's config. */
Network empty_network(const ModelFolder& folder) {
  const std::string part = folder.network();
  if (folder.family == Family::flow) {
    return std::make_shared<Sd3TransformerImpl>(config_of<Sd3Config>(part));
  }
  return std::make_shared<UnetImpl>(config_of<UnetConfig>(part));
}

/** The text encoders of a folder, for its network. */
std::shared_ptr<TextEncoders> text_of(const ModelFolder& folder,
                                      const Network& network,
                                      const TextOptions& options) {
  const auto [width, pooled] = network->condition_widths();
  return TextEncoders::open(
      {folder.path, folder.family == Family::flow, folder.has("text_encoder_2"),
       folder.has("text_encoder_3"), width, pooled},
      options);
}

/** Throws unless the network's latents are those of the decoder. */
void check_latents(const ModelFolder& folder, const Network& network) {
  constexpr int64_t kColours = 3;
  const int64_t own = network->latent_shape()[0];
  if (folder.has("vae")) {
    const int64_t channels = check_vae(folder.at("vae")).channels;
    RSM_CHECK(own == channels, "[ImageModel] ", folder.network(),
              "/config.json: in_channels is ", own, "; the VAE beside it has ",
              channels, " (latent_channels)");
  } else {
    RSM_CHECK(own == kColours, "[ImageModel] ", folder.network(),
              "/config.json: in_channels is ", own, ", and ", folder.path,
              " has no VAE; its folder vae/ is needed, or a model of pictures, "
              "whose in_channels is ",
              kColours);
  }
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
  write_safetensors(part + "/" + kDiffusersWeights + ".safetensors",
                    converted(weights, type), {{"format", "pt"}});
}

}  // namespace

ImageModel ImageModel::load(const std::string& path,
                            const ModelOptions& options) {
  const auto folder = open_model_folder(path);
  const std::string part = folder.network();
  auto noise = path_of(folder);
  auto network = empty_network(folder);
  check_latents(folder, network);
  auto text = text_of(folder, network, options.text);
  ImageModel model{std::move(network), std::move(text), std::move(noise)};
  if (folder.has("vae")) {
    model.decoder = Vae::load(folder.at("vae"))
                        ->to(options.device, options.vae_type)
                        ->with_limits({.workers = options.vae_workers});
  }
  model.network->to(options.network_type);
  load_parameters(*model.network, view_sharded(part, kDiffusersWeights).tensors,
                  part);
  return model;
}

std::shared_ptr<TextEncoders> check_model(const std::string& path,
                                          const TextOptions& options) {
  const auto folder = open_model_folder(path);
  path_of(folder);
  const auto network = empty_network(folder);
  check_latents(folder, network);
  return text_of(folder, network, options);
}

std::pair<std::string, StateDict> view_network(const std::string& path) {
  const auto folder = open_model_folder(path);
  return {layout_of(folder.family).network,
          view_sharded(folder.network(), kDiffusersWeights).tensors};
}

void ImageModel::save(const std::string& folder, torch::ScalarType type) const {
  const auto family = path->family();
  const auto& layout = layout_of(family);
  const std::string part = folder + "/" + layout.network;
  const std::string texts = folder + "/text_encoder";
  make_folders(part);
  make_folders(texts);
  make_folders(folder + "/scheduler");
  write_json_atomic(part + "/config.json", network->config_json());
  const auto clip = text->clip();
  write_json_atomic(texts + "/config.json",
                    clip->config().to_json(family == Family::flow));
  write_json_atomic(folder + "/scheduler/scheduler_config.json",
                    path->to_json());
  copy_part(text->folder() + "/tokenizer", folder + "/tokenizer");
  write_network(part, state_dict(*network), type);
  write_safetensors(texts + "/model.safetensors",
                    converted(state_dict(*clip), type), {{"format", "pt"}});
  write_json_atomic(folder + "/model_index.json",
                    model_index(family, {layout.network, "text_encoder",
                                         "tokenizer", "scheduler"}));
}

void save_with_weights(const std::string& from, const std::string& to,
                       const StateDict& network, torch::ScalarType type) {
  const auto folder = open_model_folder(from);
  for (const auto& part : folder.parts) {
    const auto place = "/" + part;
    if (folder.at(part) != folder.network()) {
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
  return path_of(open_model_folder(folder));
}

std::vector<std::string> folder_warnings(const std::string& folder) {
  const std::string file = scheduler_file(folder);
  const auto left = Path::leftovers(read_python_json(file));
  if (left.empty()) return {};
  return {cat(file, ": ", join(left), left.size() == 1 ? " is" : " are",
              " left from another scheduler, or from diffusers of 2022, and "
              "passed over, as in diffusers")};
}

std::string truncation_warning(const TextEncoders& encoders,
                               const std::vector<std::string>& texts,
                               const std::string& what) {
  std::string example;
  size_t cut = 0;
  for (const auto& text : texts) {
    if (!encoders.cuts(text)) continue;
    if (cut++ == 0) example = text;
  }
  if (cut == 0) return "";
  return cat(cut, " of ", texts.size(), " ", what, cut == 1 ? " is" : " are",
             " longer than the ", encoders.longest(),
             " tokens of text that the text encoder reads: it sees the "
             "beginning, judges get all. \"",
             shown(example), "\"");
}

std::shared_ptr<const Decoder> pixel_decoder() {
  class Pixels : public Decoder {
   public:
    torch::Tensor decode(const torch::Tensor& latents) const override {
      return pictures(latents).clamp(0, 1).to(at::kCPU);
    }
    torch::Tensor pictures(const torch::Tensor& latents) const override {
      return (latents + 1) * 0.5;
    }
    int64_t scale() const override { return 1; }
  };
  static const auto decoder = std::make_shared<const Pixels>();
  return decoder;
}

}  // namespace rsm
