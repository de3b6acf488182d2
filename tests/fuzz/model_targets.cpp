#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <set>

#include "inputs.h"
#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/json_text.h"
#include "rsm/io/protobuf.h"
#include "rsm/models/autoencoder_kl_config.h"
#include "rsm/models/autoencoder_tiny.h"
#include "rsm/models/clip_vision.h"
#include "rsm/models/lora_formats.h"
#include "rsm/models/model_layout.h"
#include "rsm/models/sd3_config.h"
#include "rsm/models/unet_config.h"
#include "rsm/paths/ddim.h"
#include "rsm/paths/flow_matching.h"
#include "rsm/paths/path.h"
#include "rsm/text/clip_text.h"
#include "rsm/text/clip_tokenizer.h"
#include "rsm/text/t5_encoder.h"
#include "rsm/text/t5_tokenizer.h"
#include "targets.h"

namespace rsm::fuzz {
namespace {

using nlohmann::json;

/** As read_python_json reads a config. */
json config_in(const std::string& bytes) {
  return parse_json("[json] config.json", quote_python_numbers(bytes));
}

template <typename Config>
void load_as(const json& config) {
  Config::from_json(config, "config.json");
}

/** By its class; the first that is none of theirs is the first's. */
void load_model_config(const std::string& bytes) {
  const auto config = config_in(bytes);
  const auto name =
      config.is_object() ? config.value("_class_name", json()) : json();
  if (name == "UNet2DConditionModel") return load_as<UnetConfig>(config);
  if (name == "AutoencoderKL") return load_as<AutoencoderKlConfig>(config);
  if (name == "AutoencoderTiny") return load_as<AutoencoderTinyConfig>(config);
  if (name == "SD3Transformer2DModel") return load_as<Sd3Config>(config);
  load_as<ClipVisionConfig>(config);
}

std::vector<std::string> model_config_seeds() {
  return {Sd3Config().to_json().dump(), UnetConfig().to_json().dump(),
          AutoencoderKlConfig().to_json().dump(),
          AutoencoderTinyConfig().to_json().dump(),
          ClipVisionConfig().to_json().dump()};
}

/** By its type; the first that is not T5's is CLIP's. */
void load_text_config(const std::string& bytes) {
  const auto config = config_in(bytes);
  const auto type =
      config.is_object() ? config.value("model_type", json()) : json();
  if (type == "t5") {
    T5Config::from_json(config).anchors();
  } else {
    ClipTextConfig::from_json(config).anchors(/*with_projection=*/true);
  }
}

std::vector<std::string> text_config_seeds() {
  auto part = ClipTextConfig().to_json(/*with_projection=*/false);
  part.erase("projection_dim");
  const json whole = {
      {"model_type", "clip"}, {"text_config", part}, {"projection_dim", 64}};
  return {T5Config().to_json().dump(),
          ClipTextConfig().to_json(/*with_projection=*/true).dump(),
          whole.dump()};
}

void load_model_index(const std::string& bytes) {
  put("model/model_index.json", bytes);
  open_model_folder(scratch() + "/model");
}

std::vector<std::string> model_index_seeds() {
  std::vector<std::string> seeds;
  for (const auto family : {Family::flow, Family::diffusion}) {
    std::set<std::string> all, needed;
    for (const auto& part : layout_of(family).parts) {
      all.insert(part.name);
      if (part.needed) needed.insert(part.name);
    }
    seeds.push_back(model_index(family, all).dump());
    seeds.push_back(model_index(family, needed).dump());
  }
  return seeds;
}

void load_scheduler(const std::string& bytes) {
  const auto config = config_in(bytes);
  const auto path = Path::from_json(config);
  Path::leftovers(config);
  for (const int64_t steps : {1, 4}) path->times(steps);
}

std::vector<std::string> scheduler_seeds() {
  return {FlowMatchSchedule().to_json().dump(),
          DdimSchedule().to_json().dump()};
}

/** Files of a tokenizer, of which one is replaced. */
const std::vector<std::string>& clip_files() {
  static const std::vector<std::string> names = {"tokenizer_config.json",
                                                 "special_tokens_map.json",
                                                 "vocab.json", "merges.txt"};
  return names;
}

/** The contents of these files. */
const std::vector<std::string>& clip_contents() {
  static const std::vector<std::string> all = [] {
    const std::string folder = scratch() + "/words";
    write_word_vocabulary(folder, {"red", "blue"}, 16);
    std::vector<std::string> contents;
    for (const auto& name : clip_files()) {
      contents.push_back(read_file(folder + "/" + name));
    }
    return contents;
  }();
  return all;
}

void load_clip_tokenizer(const std::string& bytes) {
  const auto& contents = clip_contents();
  const size_t choice =
      bytes.empty() ? 0
                    : static_cast<unsigned char>(bytes[0]) % contents.size();
  for (size_t i = 0; i < contents.size(); ++i) {
    const bool own = i == choice && !bytes.empty();
    put("clip/" + clip_files()[i], own ? bytes.substr(1) : contents[i]);
  }
  const auto tokenizer = ClipTokenizer::load(scratch() + "/clip");
  tokenizer.encode("A red circle, 2 \xc3\xa9 <|endoftext|>");
}

/** The code of "0" is 0, modulo 4. */
std::vector<std::string> clip_tokenizer_seeds() {
  std::vector<std::string> seeds;
  for (size_t i = 0; i < clip_contents().size(); ++i) {
    seeds.push_back(std::to_string(i) + clip_contents()[i]);
  }
  return seeds;
}

void load_t5_tokenizer(const std::string& bytes) {
  put("t5/tokenizer.json", bytes);
  const auto tokenizer = T5Tokenizer::load(scratch() + "/t5", 8);
  tokenizer.encode("A red </s> fox \xc3\xa9");
}

/** "A" becomes "a": see text/character_map_test.cpp. */
std::string character_map() {
  std::vector<uint32_t> units(512, 0);
  units[0] = 256U << 10;
  units[256 ^ 'A'] = 'A' | 1U << 8 | 1U << 10;
  units[256 ^ 'A' ^ 1] = 1U << 31;
  std::string map = little_endian(units.size() * 4, 4);
  for (const uint32_t unit : units) map += little_endian(unit, 4);
  return map + std::string("a\0", 2);
}

/** A tokenizer.json of a few pieces. */
json t5_pieces() {
  json vocab = json::array({{"<pad>", 0},
                            {"</s>", 0},
                            {"<unk>", 0},
                            {"\u2581", -2},
                            {"\u2581red", -3}});
  for (const char* letter : {"r", "e", "d", "f", "o", "x", "a"}) {
    vocab.push_back({letter, -4});
  }
  return {
      {"model", {{"type", "Unigram"}, {"unk_id", 2}, {"vocab", vocab}}},
      {"added_tokens",
       {{{"id", 0}, {"content", "<pad>"}}, {{"id", 1}, {"content", "</s>"}}}},
      {"normalizer", nullptr},
      {"pre_tokenizer",
       {{"type", "Metaspace"},
        {"replacement", "\u2581"},
        {"prepend_scheme", "always"}}}};
}

std::vector<std::string> t5_tokenizer_seeds() {
  const json plain = t5_pieces();
  json mapped = plain;
  mapped["normalizer"] = {{"type", "Precompiled"},
                          {"precompiled_charsmap", base64(character_map())}};
  return {plain.dump(), mapped.dump()};
}

/** Beside pieces that list no added tokens: the config says which there are. */
void load_t5_tokenizer_config(const std::string& bytes) {
  static const std::string pieces = [] {
    auto plain = t5_pieces();
    plain.erase("added_tokens");
    return plain.dump();
  }();
  put("t5-config/tokenizer.json", pieces);
  put("t5-config/tokenizer_config.json", bytes);
  const auto tokenizer = T5Tokenizer::load(scratch() + "/t5-config", 8);
  tokenizer.encode("A red </s> fox <extra_id_0>");
}

std::vector<std::string> t5_tokenizer_config_seeds() {
  return {R"({"tokenizer_class": "T5Tokenizer", "extra_ids": 3,)"
          R"( "pad_token": "<pad>", "unk_token": null,)"
          R"( "eos_token": {"content": "</s>"}, "padding_side": "right"})",
          R"({"tokenizer_class": "T5TokenizerFast",)"
          R"( "added_tokens_decoder": {)"
          R"( "0": {"content": "<pad>", "normalized": false},)"
          R"( "1": {"content": "</s>", "single_word": false},)"
          R"( "12": {"content": "<extra_id_0>", "special": true}},)"
          R"( "add_prefix_space": true, "model_max_length": 512})"};
}

const StateDict& lora_weights() {
  static const StateDict weights = {
      {"blocks.0.attn.to_q.weight", torch::zeros({4, 4})},
      {"blocks.0.attn.to_out.0.weight", torch::zeros({4, 4})}};
  return weights;
}

void load_lora_file(const std::string& bytes) {
  load_lora(put("lora.safetensors", safetensors_of(bytes)), "transformer",
            lora_weights());
}

std::vector<std::string> lora_seeds() {
  const auto down = torch::zeros({2, 4}), up = torch::zeros({4, 2});
  const std::string to_q = "blocks.0.attn.to_q";
  const json config = {{"transformer.r", 2},
                       {"transformer.lora_alpha", 4},
                       {"transformer.target_modules", {"to_q"}},
                       {"transformer.rank_pattern", {{"to_out.0", 1}}}};
  return {
      safetensors_header(
          {{to_q + ".lora_A.weight", down}, {to_q + ".lora_B.weight", up}}),
      safetensors_header({{"transformer." + to_q + ".lora_A.weight", down},
                          {"transformer." + to_q + ".lora_B.weight", up}},
                         {{"lora_adapter_metadata", config.dump()}}),
      safetensors_header(
          {{"lora_transformer_blocks_0_attn_to_out_0.lora_down.weight", down},
           {"lora_transformer_blocks_0_attn_to_out_0.lora_up.weight", up},
           {"lora_transformer_blocks_0_attn_to_out_0.alpha",
            torch::zeros({1})}}),
      safetensors_header(
          {{"blocks.0.attn.processor.to_out_lora.down.weight", down},
           {"blocks.0.attn.processor.to_out_lora.up.weight", up}})};
}

void load_adapter_config(const std::string& bytes) {
  static const auto weights =
      safetensors_header({{"base_model.model.blocks.0.attn.to_q.lora_A.weight",
                           torch::zeros({2, 4})},
                          {"base_model.model.blocks.0.attn.to_q.lora_B.weight",
                           torch::zeros({4, 2})}});
  put("peft/adapter_model.safetensors", safetensors_of(weights));
  put("peft/adapter_config.json", bytes);
  load_lora(scratch() + "/peft", "transformer", lora_weights());
}

std::vector<std::string> adapter_config_seeds() {
  return {R"({"peft_type": "LORA", "r": 2, "lora_alpha": 4, "bias": "none",)"
          R"( "target_modules": ["to_q"], "exclude_modules": null,)"
          R"( "use_rslora": false, "lora_dropout": 0.0})",
          R"({"peft_type": "LORA", "r": 8, "lora_alpha": 4,)"
          R"( "rank_pattern": {"attn.to_q": 2}, "alpha_pattern": {".*q": 1.5},)"
          R"( "target_modules": "blocks.*to_q", "use_rslora": true})"};
}

}  // namespace

std::vector<Target> model_targets() {
  return {{"model-index", model_index_seeds, load_model_index},
          {"model-config", model_config_seeds, load_model_config},
          {"text-config", text_config_seeds, load_text_config},
          {"scheduler", scheduler_seeds, load_scheduler},
          {"clip-tokenizer", clip_tokenizer_seeds, load_clip_tokenizer, 1, 500},
          {"t5-tokenizer", t5_tokenizer_seeds, load_t5_tokenizer},
          {"t5-tokenizer-config", t5_tokenizer_config_seeds,
           load_t5_tokenizer_config},
          {"lora", lora_seeds, load_lora_file, 0, 2000},
          {"adapter-config", adapter_config_seeds, load_adapter_config}};
}

}  // namespace rsm::fuzz
