#include "rsm/models/lora_formats.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>
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

enum class Half { down, up, alpha };

struct Ending {
  std::string_view text = {};
  Half half = Half::down;
};

/** PEFT's, kohya's, and diffusers' of 2023, in attention processors and after.
 */
constexpr std::array kEndings = {
    Ending{".lora_A.weight", Half::down},
    Ending{".lora_B.weight", Half::up},
    Ending{".lora_down.weight", Half::down},
    Ending{".lora_up.weight", Half::up},
    Ending{".lora.down.weight", Half::down},
    Ending{".lora.up.weight", Half::up},
    Ending{".lora_linear_layer.down.weight", Half::down},
    Ending{".lora_linear_layer.up.weight", Half::up},
    Ending{"_lora.down.weight", Half::down},
    Ending{"_lora.up.weight", Half::up},
    Ending{".alpha", Half::alpha}};

/** What a name ends with; nothing where it is no part of a LoRA. PEFT's names
 * may have the adapter's name in them: ".lora_A.default.weight". */
Ending ending_of(const std::string& name) {
  for (const auto& ending : kEndings) {
    if (name.ends_with(ending.text)) return ending;
  }
  for (const auto half : {Half::down, Half::up}) {
    const std::string_view peft = half == Half::down ? ".lora_A." : ".lora_B.";
    const auto at = name.rfind(peft);
    if (at == std::string::npos || !name.ends_with(".weight")) continue;
    // Between these two stands one word.
    if (name.find('.', at + peft.size()) == name.rfind('.')) {
      return {std::string_view(name).substr(at), half};
    }
  }
  return {};
}

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
              kFuseFirst);
  }
  for (const char* word : {"hada_", "lokr_", "dora_scale", "magnitude_vector",
                           "lora_mid", "oft_"}) {
    RSM_CHECK(name.find(word) == std::string::npos, "[LoRA] ", who,
              ": tensor \"", shown(name), "\" is of another adapter (", word,
              "); only plain LoRA is read", kFuseFirst);
  }
}

double alpha_of(const torch::Tensor& tensor, const std::string& name,
                const std::string& who) {
  const double alpha =
      tensor.numel() == 1 ? tensor.to(torch::kFloat64).item<double>() : NAN;
  RSM_CHECK(std::isfinite(alpha), "[LoRA] ", who, ": tensor \"", shown(name),
            "\" is no finite number");
  return alpha;
}

/** A file's tensors under PEFT's names. */
struct Named {
  StateDict halves;
  std::map<std::string, double> alphas;  ///< by layer, where it has one
};

Named named(const StateDict& tensors, const std::string& part,
            const StateDict& weights, const std::string& who) {
  const auto flat = flat_names(weights);
  Named out;
  for (const auto& [name, tensor] : tensors) {
    check_kind(name, who);
    const auto ending = ending_of(name);
    RSM_CHECK(!ending.text.empty(), "[LoRA] ", who, ": tensor \"", shown(name),
              "\" is no part of a LoRA known here", kFuseFirst);
    const std::string layer =
        layer_of(name.substr(0, name.size() - ending.text.size()), part, flat);
    RSM_CHECK(weights.contains(layer + ".weight"), "[LoRA] ", who,
              ": tensor \"", shown(name), "\" is of no layer of the ", part,
              "; a LoRA of this model is needed", kFuseFirst);
    if (ending.half == Half::alpha) {
      out.alphas[layer] = alpha_of(tensor, name, who);
      continue;
    }
    const char* half =
        ending.half == Half::down ? ".lora_A.weight" : ".lora_B.weight";
    const auto matrix = lora_matrix(tensor, name, who);
    RSM_CHECK(out.halves.emplace(layer + half, matrix).second, "[LoRA] ", who,
              ": tensor \"", shown(name), "\" is of layer \"", layer,
              "\", of which there is another; save one adapter alone");
  }
  RSM_CHECK(!out.halves.empty(), "[LoRA] ", who, " has no tensors");
  return out;
}

/** The one safetensors file of a folder. */
std::string only_file(const std::string& folder) {
  std::vector<std::string> files, others;
  std::string adapter;
  std::error_code failed;
  fs::directory_iterator at(folder, failed), end;
  for (; !failed && at != end; at.increment(failed)) {
    const auto name = at->path().filename().string();
    (name.ends_with(".safetensors") ? files : others).push_back(name);
    const auto inside = at->path().string();
    if (is_there(inside + "/adapter_config.json")) adapter = inside;
  }
  std::sort(files.begin(), files.end());
  std::sort(others.begin(), others.end());
  RSM_CHECK(!failed, "[LoRA] ", folder, ": ", failed.message(),
            "; a folder or a safetensors file of a LoRA is needed");
  RSM_CHECK(
      !files.empty() || adapter.empty(), "[LoRA] ", folder,
      " has no safetensors file; name the folder of its adapter, such as ",
      adapter);
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
  const auto [halves, alphas] = named(tensors, part, weights, who);
  std::map<std::string, double> scales;
  for (const auto& pair : lora_pairs(halves, kRankByLayer, who)) {
    const auto rank = static_cast<double>(pair.down.size(0));
    const auto found = alphas.find(pair.module);
    scales[pair.module] = (found == alphas.end() ? rank : found->second) / rank;
  }
  return evened(halves, scales, who);
}

std::vector<std::string> lora_files(const std::string& path) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  RSM_CHECK(folder || fs::is_regular_file(path, ignored), "[LoRA] ", path,
            fs::is_symlink(path, ignored) ? " is a link that leads nowhere"
                                          : " is not there",
            "; a folder or a safetensors file of a LoRA is needed");
  const auto peft = folder ? fs::path(path) : fs::path(path).parent_path();
  const auto config = (peft / kPeftConfig).string();
  const auto halves = (peft / kPeftWeights).string();
  if (folder && is_there(config)) {
    RSM_CHECK(is_there(halves), "[LoRA] ", path,
              " has an adapter_config.json and no adapter_model.safetensors; "
              "its weights need that name, saved with safe_serialization=True");
    return {config, halves};
  }
  if (!folder && path == halves && is_there(config)) return {config, halves};
  return {!folder                                 ? path
          : is_there(path + "/" + kDiffusersLora) ? path + "/" + kDiffusersLora
                                                  : only_file(path)};
}

LoraFile load_lora(const std::string& path, const std::string& part,
                   const StateDict& weights) {
  const auto files = lora_files(path);
  const auto& file = files.back();
  if (files.size() > 1) {
    return load_peft_adapter(fs::path(file).parent_path().string());
  }
  const auto content = read_safetensors(file);
  if (content.metadata.contains(kDiffusersMetadata)) {
    return diffusers_lora(content, part, file);
  }
  return lora_of_others(content.tensors, part, weights, file);
}

}  // namespace rsm
