#include "rsm/models/lora_files.h"

#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"
#include "rsm/models/loading.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr int64_t kMostRank = 65536;
constexpr size_t kLongestName = 1000;  // of a layer that a pattern is for
constexpr size_t kLongestPattern = 256;
constexpr const char* kPeftPrefix = "base_model.model.";

/** Fields of PEFT's LoraConfig that make it compute something else. */
constexpr const char* kUnsupported[] = {"use_dora",
                                        "use_qalora",
                                        "use_bdlora",
                                        "lora_bias",
                                        "modules_to_save",
                                        "layer_replication",
                                        "target_parameters",
                                        "fan_in_fan_out",
                                        "trainable_token_indices",
                                        "arrow_config",
                                        "alora_invocation_tokens"};

/** Fields that narrow target_modules by more than endings of names. */
constexpr const char* kNarrowing[] = {"layers_to_transform", "layers_pattern"};

bool is_set(const json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && *found != false && !found->empty();
}

bool is_list_of_texts(const json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(),
                     [](const json& item) { return item.is_string(); });
}

/** Names of the layers in a file's tensors. */
std::vector<std::string> layers_of(const StateDict& lora,
                                   const std::string& who) {
  std::vector<std::string> names;
  for (const auto& pair : lora_pairs(lora, kRankByLayer, who)) {
    names.push_back(pair.module);
  }
  return names;
}

/** What a field such as rank_pattern has for a layer, by PEFT's rule: its keys
 * are expressions for a name's end. `usual` where none matches. */
double of_layer(const json& config, const char* field,
                const std::string& module, double usual,
                const std::string& who) {
  if (!is_set(config, field)) return usual;
  const json& pattern = config[field];
  RSM_CHECK(pattern.is_object(), who, field, " is ", shown_json(pattern),
            "; an object of numbers by layer is needed");
  double found = usual;
  std::string by;
  for (const auto& [key, value] : pattern.items()) {
    bool matches = false;
    RSM_CHECK(key.size() <= kLongestPattern, who, field, " has a key of ",
              key.size(), " bytes; at most ", kLongestPattern, " are allowed",
              kFuseFirst);
    try {
      // Such as (a+)+b would take for ever by the library's usual search.
      const std::regex expression(
          "(.*\\.)?(" + key + ")",
          std::regex::ECMAScript | std::regex_constants::__polynomial);
      // Longer ones could exhaust the stack.
      matches =
          module.size() <= kLongestName && std::regex_match(module, expression);
    } catch (const std::regex_error& error) {
      throw Error(cat(who, field, " has the key \"", shown(key),
                      "\", which is not understood (", error.what(), ")",
                      kFuseFirst));
    }
    if (!matches) continue;
    RSM_CHECK(value.is_number() && (by.empty() || value == found), who, field,
              " has ", shown_json(value), " by \"", shown(key), "\" for layer ",
              module,
              by.empty() ? "" : ", and another number by \"" + by + "\"",
              "; one number is needed", kFuseFirst);
    found = value.get<double>();
    by = shown(key);
  }
  return found;
}

/** What PEFT saves as target_modules: the targets or, for "all-linear", the
 * names of the layers it stands for. */
std::vector<std::string> saved_targets(const LoraConfig& config,
                                       const StateDict& lora) {
  return config.all_linear() ? layers_of(lora, "save LoRA") : config.targets;
}

json peft_fields(const LoraConfig& config, const StateDict& lora) {
  const double whole = std::round(config.alpha);
  const bool is_whole = whole == config.alpha && std::abs(whole) < 1e15;
  json fields = {{"peft_type", "LORA"},
                 {"r", config.rank},
                 {"lora_alpha", is_whole ? json(static_cast<int64_t>(whole))
                                         : json(config.alpha)},
                 {"target_modules", saved_targets(config, lora)},
                 {"lora_dropout", 0.0},
                 {"bias", "none"},
                 {"init_lora_weights", "gaussian"},
                 {"inference_mode", true}};
  // Names of layers have the exclusions behind them: PEFT would warn that
  // these take nothing away.
  if (!config.exclude.empty() && !config.all_linear()) {
    fields["exclude_modules"] = config.exclude;
  }
  return fields;
}

LoraConfig from_peft_fields(const json& from, const std::string& origin,
                            const StateDict& tensors) {
  const JsonFields fields(from, "[LoraConfig] " + origin);
  const auto who = cat(fields.where(), ": ");
  const std::string type = shown_json(from.value("peft_type", json("LORA")));
  RSM_CHECK(type == "\"LORA\"", who, "peft_type is ", type,
            "; \"LORA\" is needed", kFuseFirst);
  for (const char* key : kUnsupported) {
    RSM_CHECK(!is_set(from, key), who, key, " is ", shown_json(from[key]),
              "; only LoRA without it is read", kFuseFirst);
  }
  const json bias = from.value("bias", json("none"));
  RSM_CHECK(bias == "none", who, "bias is ", shown_json(bias),
            "; \"none\" is needed", kFuseFirst);
  LoraConfig config;
  config.rank = fields.integer("r", 1, kMostRank);
  const json& alpha = fields.value("lora_alpha");
  fields.check("lora_alpha", alpha.is_number(), "a number");
  config.alpha = alpha.get<double>();
  const json& targets = fields.value("target_modules");
  const json exclude =
      is_set(from, "exclude_modules") ? from["exclude_modules"] : json::array();
  const auto narrows = [&](const char* key) { return is_set(from, key); };
  const bool is_plain =
      is_list_of_texts(targets) && is_list_of_texts(exclude) &&
      std::none_of(std::begin(kNarrowing), std::end(kNarrowing), narrows);
  if (is_plain) {
    config.targets = targets.get<std::vector<std::string>>();
    config.exclude = exclude.get<std::vector<std::string>>();
  } else {
    config.targets = layers_of(tensors, origin);
  }
  return config;
}

/** The LoRA of these fields, its tensors checked against them. */
LoraFile from_peft(const json& fields, const std::string& origin,
                   const StateDict& halves, const std::string& path) {
  StateDict tensors;
  for (const auto& [name, half] : halves) {
    tensors[name] = lora_matrix(half, name, path);
  }
  const auto config = from_peft_fields(fields, origin, tensors);
  config.check();
  const auto who = cat("[LoraConfig] ", origin, ": ");
  const auto usual = static_cast<double>(config.rank);
  const bool rooted = is_set(fields, "use_rslora");
  bool even = !rooted;
  std::map<std::string, double> scales;
  for (const auto& pair : lora_pairs(tensors, kRankByLayer, path)) {
    const auto rank = static_cast<double>(pair.down.size(0));
    const double said =
        of_layer(fields, "rank_pattern", pair.module, usual, who);
    RSM_CHECK(rank == said, "[", path, "] tensor \"", pair.module,
              ".lora_A.weight\" has shape ", pair.down.sizes(),
              "; [rank,in] with rank ", said, " is needed");
    const double alpha =
        of_layer(fields, "alpha_pattern", pair.module, config.alpha, who);
    scales[pair.module] = alpha / (rooted ? std::sqrt(rank) : rank);
    even = even && rank == usual && alpha == config.alpha;
  }
  return even ? LoraFile{config, tensors} : evened(tensors, scales, path);
}

StateDict with_names(const std::string& prefix, const StateDict& lora) {
  StateDict out;
  for (const auto& [name, tensor] : lora) {
    out[prefix + name] = tensor;
  }
  return out;
}

StateDict without_prefix(const std::string& prefix, const StateDict& tensors,
                         const std::string& path) {
  StateDict out;
  for (const auto& [name, tensor] : tensors) {
    RSM_CHECK(name.starts_with(prefix), "[LoRA] ", path, ": tensor \"", name,
              "\" arrived; names start with \"", prefix, "\"");
    out[name.substr(prefix.size())] = tensor;
  }
  RSM_CHECK(!out.empty(), "[LoRA] ", path, " has no tensors");
  return out;
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

void check_before_saving(const LoraConfig& config, const StateDict& lora) {
  config.check();
  for (const auto& pair : lora_pairs(lora, config.rank, "save LoRA")) {
    RSM_CHECK(
        config.all_linear() || lora_target_matches(pair.module, config.targets),
        "[save LoRA] layer \"", pair.module,
        "\" is matched by no target; readers would pass over it");
    RSM_CHECK(!lora_target_matches(pair.module, config.exclude),
              "[save LoRA] layer \"", pair.module,
              "\" is excluded; readers would pass over it");
  }
}

}  // namespace

torch::Tensor lora_matrix(const torch::Tensor& half, const std::string& name,
                          const std::string& who) {
  RSM_CHECK(half.is_floating_point() && (half.dim() == 2 || half.dim() == 4),
            "[LoRA] ", who, ": tensor \"", shown(name), "\" has shape ",
            half.sizes(), " and type ", half.scalar_type(),
            "; a matrix or a convolution of floating-point numbers is needed",
            kFuseFirst);
  RSM_CHECK(half.numel() > 0, "[LoRA] ", who, ": tensor \"", shown(name),
            "\" has shape ", half.sizes(), " and so no numbers; save it whole");
  return half.flatten(1);
}

LoraFile evened(const StateDict& lora,
                const std::map<std::string, double>& scales,
                const std::string& who) {
  LoraFile file;
  file.config.rank = 1;
  file.config.targets.clear();
  const auto pairs = lora_pairs(lora, kRankByLayer, who);
  for (const auto& pair : pairs) {
    file.config.targets.push_back(pair.module);
    file.config.rank = std::max(file.config.rank, pair.down.size(0));
  }
  RSM_CHECK(file.config.rank <= kMostRank, "[LoRA] ", who, " has the rank ",
            file.config.rank, "; at most ", kMostRank, " is allowed");
  const double common = scales.at(pairs.front().module);
  const bool even =
      std::all_of(pairs.begin(), pairs.end(), [&](const LoraPair& pair) {
        return pair.down.size(0) == file.config.rank &&
               scales.at(pair.module) == common;
      });
  file.config.alpha =
      static_cast<double>(file.config.rank) * (even ? common : 1);
  for (const auto& pair : pairs) {
    const double scale = even ? 1 : scales.at(pair.module);
    file.tensors[pair.module + ".lora_A.weight"] =
        padded(pair.down.to(at::kFloat), 0, file.config.rank);
    file.tensors[pair.module + ".lora_B.weight"] =
        padded(pair.up.to(at::kFloat) * scale, 1, file.config.rank);
  }
  return file;
}

LoraFile folded(const LoraFile& file) {
  LoraFile out = file;
  out.config.alpha = static_cast<double>(file.config.rank);
  for (const auto& pair :
       lora_pairs(file.tensors, file.config.rank, "folded")) {
    auto& up = out.tensors.at(pair.module + ".lora_B.weight");
    up = up * file.config.scale();
  }
  return out;
}

void save_peft_adapter(const std::string& folder, const LoraConfig& config,
                       const StateDict& lora) {
  check_before_saving(config, lora);
  make_folders(folder);
  write_safetensors(folder + "/" + kPeftWeights, with_names(kPeftPrefix, lora),
                    {{"format", "pt"}});
  write_json_atomic(folder + "/" + kPeftConfig, peft_fields(config, lora));
}

LoraFile load_peft_adapter(const std::string& folder) {
  const std::string path = folder + "/" + kPeftWeights;
  const StateDict tensors =
      without_prefix(kPeftPrefix, read_safetensors(path).tensors, path);
  return from_peft(read_python_json(folder + "/" + kPeftConfig),
                   folder + "/" + kPeftConfig, tensors, path);
}

void save_diffusers_lora(const std::string& folder, const LoraConfig& config,
                         const StateDict& lora, const std::string& part) {
  check_before_saving(config, lora);
  make_folders(folder);
  const std::string prefix = part + ".";
  const json plain = peft_fields(config, lora);
  json fields;
  for (const auto& [key, value] : plain.items()) {
    fields[prefix + key] = value;
  }
  write_safetensors(folder + "/" + kDiffusersLora, with_names(prefix, lora),
                    {{"format", "pt"}, {kDiffusersMetadata, fields.dump()}});
}

LoraFile load_diffusers_lora(const std::string& folder,
                             const std::string& part) {
  const std::string path = folder + "/" + kDiffusersLora;
  return diffusers_lora(read_safetensors(path), part, path);
}

LoraFile diffusers_lora(const SafetensorsFile& file, const std::string& part,
                        const std::string& path) {
  const std::string prefix = part + ".";
  const StateDict tensors = without_prefix(prefix, file.tensors, path);
  json fields;
  const auto found = file.metadata.find(kDiffusersMetadata);
  if (found != file.metadata.end()) {
    const std::string where =
        cat("[LoRA] ", path, ": metadata ", kDiffusersMetadata);
    const json all = parse_json(where, quote_python_numbers(found->second));
    const JsonFields given(all, where);
    for (const auto& key : given.keys()) {
      if (key.starts_with(prefix)) {
        fields[key.substr(prefix.size())] = given.value(key);
      }
    }
  }
  if (fields.empty()) {
    const auto& first = tensors.begin()->second;
    fields = {{"r", first.dim() == 0 ? 0 : first.size(0)}};
    fields["lora_alpha"] = fields["r"];
  }
  return from_peft(fields, path, tensors, path);
}

}  // namespace rsm
