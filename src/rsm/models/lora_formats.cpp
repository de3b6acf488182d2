#include "rsm/models/lora_formats.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConvert =
    "; to use it, load it in diffusers (load_lora_weights), fuse_lora() and "
    "save_pretrained() the model";

enum class Half { down, up, alpha };

struct Ending {
  std::string_view text;
  Half half;
};

/** PEFT's, kohya's, and diffusers' of 2023, in attention processors and after.
 */
constexpr std::array kEndings = {
    Ending{".lora_A.weight", Half::down},
    Ending{".lora_B.weight", Half::up},
    Ending{".lora_A.default.weight", Half::down},
    Ending{".lora_B.default.weight", Half::up},
    Ending{".lora_down.weight", Half::down},
    Ending{".lora_up.weight", Half::up},
    Ending{".lora.down.weight", Half::down},
    Ending{".lora.up.weight", Half::up},
    Ending{".lora_linear_layer.down.weight", Half::down},
    Ending{".lora_linear_layer.up.weight", Half::up},
    Ending{"_lora.down.weight", Half::down},
    Ending{"_lora.up.weight", Half::up},
    Ending{".alpha", Half::alpha}};

/** One layer of the file. */
struct Layer {
  torch::Tensor down, up;
  std::optional<double> alpha;
};

/** Layers' names with "_" for ".", as kohya writes them. */
std::map<std::string, std::string> flat_names(const StateDict& weights) {
  std::map<std::string, std::string> names;
  for (const auto& [name, tensor] : weights) {
    if (!name.ends_with(".weight") || tensor.dim() < 2) continue;
    const std::string layer = name.substr(0, name.rfind('.'));
    std::string flat = layer;
    std::replace(flat.begin(), flat.end(), '.', '_');
    names[flat] = layer;
  }
  return names;
}

/** The layer that a name of others means, its ending taken away. */
std::string layer_of(std::string name, const std::string& part,
                     const std::map<std::string, std::string>& flat) {
  for (const std::string& prefix :
       {std::string("base_model.model."), part + "."}) {
    if (name.starts_with(prefix)) name.erase(0, prefix.size());
  }
  const std::string kohya = "lora_" + part + "_";
  if (name.starts_with(kohya)) {
    const auto found = flat.find(name.substr(kohya.size()));
    return found == flat.end() ? name : found->second;
  }
  const auto processor = name.find(".processor.");
  if (processor != std::string::npos) {
    name.erase(processor, std::string_view(".processor").size());
    if (name.ends_with(".to_out")) name += ".0";
  }
  return name;
}

/** Throws where a tensor is of something else than a LoRA of the network. */
void check_kind(const std::string& name, const std::string& who) {
  for (const char* text : {"text_encoder.", "text_encoder_2.", "lora_te_",
                           "lora_te1_", "lora_te2_"}) {
    RSM_CHECK(!name.starts_with(text), "[LoRA] ", who, ": tensor \"",
              shown(name),
              "\" adapts the text encoder; only LoRAs of the network alone are "
              "read",
              kConvert);
  }
  for (const char* word : {"hada_", "lokr_", "dora_scale", "magnitude_vector",
                           "lora_mid", "oft_"}) {
    RSM_CHECK(name.find(word) == std::string::npos, "[LoRA] ", who,
              ": tensor \"", shown(name), "\" is of another adapter (", word,
              "); only plain LoRA is read", kConvert);
  }
}

/** Halves [r,in,1,1] and [out,r,1,1] of 1x1 convolutions as matrices. */
torch::Tensor as_matrix(const torch::Tensor& tensor, const std::string& name,
                        const std::string& who) {
  const bool pointwise =
      tensor.dim() == 4 && tensor.size(2) == 1 && tensor.size(3) == 1;
  RSM_CHECK(tensor.is_floating_point() && (tensor.dim() == 2 || pointwise),
            "[LoRA] ", who, ": tensor \"", shown(name), "\" has shape ",
            tensor.sizes(), "; a matrix is needed, or a 1x1 convolution",
            kConvert);
  return tensor.to(torch::kFloat32).flatten(1);
}

double alpha_of(const torch::Tensor& tensor, const std::string& name,
                const std::string& who) {
  const double alpha =
      tensor.numel() == 1 ? tensor.to(torch::kFloat64).item<double>() : NAN;
  RSM_CHECK(std::isfinite(alpha), "[LoRA] ", who, ": tensor \"", shown(name),
            "\" is no finite number");
  return alpha;
}

std::map<std::string, Layer> layers_of(const StateDict& tensors,
                                       const std::string& part,
                                       const StateDict& weights,
                                       const std::string& who) {
  const auto flat = flat_names(weights);
  std::map<std::string, Layer> layers;
  for (const auto& [name, tensor] : tensors) {
    check_kind(name, who);
    const auto* ending =
        std::find_if(kEndings.begin(), kEndings.end(),
                     [&](const auto& e) { return name.ends_with(e.text); });
    RSM_CHECK(ending != kEndings.end(), "[LoRA] ", who, ": tensor \"",
              shown(name), "\" is no part of a LoRA known here", kConvert);
    const std::string layer =
        layer_of(name.substr(0, name.size() - ending->text.size()), part, flat);
    RSM_CHECK(weights.contains(layer + ".weight"), "[LoRA] ", who,
              ": tensor \"", shown(name), "\" is of no layer of the ", part,
              "; a LoRA of this model is needed", kConvert);
    auto& found = layers[layer];
    if (ending->half == Half::alpha) {
      found.alpha = alpha_of(tensor, name, who);
    } else {
      (ending->half == Half::down ? found.down : found.up) =
          as_matrix(tensor, name, who);
    }
  }
  RSM_CHECK(!layers.empty(), "[LoRA] ", who, " has no tensors");
  return layers;
}

/** Rows (dimension 0) or columns (1) of zeros behind, up to `size`. */
torch::Tensor padded(const torch::Tensor& matrix, int64_t dimension,
                     int64_t size) {
  auto shape = matrix.sizes().vec();
  shape[dimension] = size - shape[dimension];
  return shape[dimension] == 0
             ? matrix
             : at::cat({matrix, at::zeros(shape, matrix.options())}, dimension);
}

/** The one safetensors file of a folder. */
std::string only_file(const std::string& folder) {
  std::vector<std::string> files, others;
  std::error_code failed;
  fs::directory_iterator at(folder, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    const auto name = at->path().filename().string();
    (name.ends_with(".safetensors") ? files : others).push_back(name);
  }
  std::sort(files.begin(), files.end());
  std::sort(others.begin(), others.end());
  RSM_CHECK(!failed, "[LoRA] ", folder, ": ", failed.message(),
            "; a folder or a safetensors file of a LoRA is needed");
  RSM_CHECK(!files.empty(), "[LoRA] ", folder,
            " has no safetensors file; there ",
            others.empty() ? "is nothing" : cat("lie ", shown(join(others))),
            "; a LoRA as pickled .bin or .pt is not read: save it with "
            "safe_serialization=True");
  RSM_CHECK(files.size() == 1, "[LoRA] ", folder,
            " has several files: ", shown(join(files)), "; name one of them");
  return folder + "/" + files[0];
}

}  // namespace

LoraFile lora_of_others(const StateDict& tensors, const std::string& part,
                        const StateDict& weights, const std::string& who) {
  const auto layers = layers_of(tensors, part, weights, who);
  int64_t rank = 0;
  for (const auto& [name, layer] : layers) {
    RSM_CHECK(layer.down.defined() && layer.up.defined() &&
                  layer.down.size(0) == layer.up.size(1) &&
                  layer.down.size(0) > 0,
              "[LoRA] ", who, ": layer \"", name,
              "\" lacks a half, or its halves have different ranks");
    rank = std::max(rank, layer.down.size(0));
  }
  LoraFile file;
  file.config.rank = rank;
  file.config.alpha = static_cast<double>(rank);
  file.config.targets.clear();
  for (const auto& [name, layer] : layers) {
    const auto own = static_cast<double>(layer.down.size(0));
    const double scale = layer.alpha.value_or(own) / own;
    file.config.targets.push_back(name);
    file.tensors[name + ".lora_A.weight"] = padded(layer.down, 0, rank);
    file.tensors[name + ".lora_B.weight"] = padded(layer.up * scale, 1, rank);
  }
  return file;
}

LoraFile load_lora(const std::string& path, const std::string& part,
                   const StateDict& weights) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  RSM_CHECK(folder || fs::is_regular_file(path, ignored), "[LoRA] ", path,
            fs::is_symlink(path, ignored) ? " is a link that leads nowhere"
                                          : " is not there",
            "; a folder or a safetensors file of a LoRA is needed");
  if (folder && is_there(path + "/adapter_config.json")) {
    RSM_CHECK(is_there(path + "/adapter_model.safetensors"), "[LoRA] ", path,
              " has an adapter_config.json and no adapter_model.safetensors; "
              "its weights need that name, saved with safe_serialization=True");
    return load_peft_adapter(path);
  }
  const std::string file = !folder ? path
                           : is_there(path + "/" + kDiffusersLora)
                               ? path + "/" + kDiffusersLora
                               : only_file(path);
  const auto content = read_safetensors(file);
  if (content.metadata.contains(kDiffusersMetadata)) {
    return diffusers_lora(content, part, file);
  }
  return lora_of_others(content.tensors, part, weights, file);
}

}  // namespace rsm
