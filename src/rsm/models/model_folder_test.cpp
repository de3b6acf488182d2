// Model folders and LoRA files of others: whatever stands there, they are read
// or refused by an rsm::Error.

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_formats.h"
#include "rsm/models/mutation_testing.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::string kFlow = std::string(RSM_SOURCE_DIR) + "/models/shapes-flow";
const std::string kDiffusion =
    std::string(RSM_SOURCE_DIR) + "/models/shapes-diffusion";

/** A copy of a model folder whose weights are links. */
void link_model(const std::string& from, const std::string& to) {
  fs::create_directories(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const auto path = fs::path(to) / fs::relative(entry.path(), from);
    if (entry.is_directory()) {
      fs::create_directories(path);
    } else if (entry.path().extension() == ".safetensors") {
      fs::create_symlink(fs::absolute(entry.path()), path);
    } else {
      fs::copy_file(entry.path(), path);
    }
  }
}

TEST(ModelFolder, IsReadOrRefusedWhateverItsFilesSay) {
  std::mt19937_64 random(3);
  const TemporaryFolder folder;
  for (const auto& source : {kFlow, kDiffusion}) {
    const std::string model = folder / fs::path(source).filename().string();
    link_model(source, model);
    for (const std::string file :
         {"/model_index.json", "/scheduler/scheduler_config.json",
          "/text_encoder/config.json", "/transformer/config.json",
          "/unet/config.json", "/tokenizer/tokenizer_config.json",
          "/tokenizer/special_tokens_map.json", "/tokenizer/vocab.json",
          "/tokenizer/merges.txt"}) {
      if (!fs::exists(model + file)) continue;
      const std::string kept = read_file(model + file);
      for (int i = 0; i < 60; ++i) {
        const auto text = mutated(kept, random);
        write_file_atomic(model + file, text);
        expect_error_or_none(
            [&] {
              folder_warnings(model);
              ImageModel::load(model);
            },
            file + ": " + text);
      }
      fs::remove(model + file);
      fs::create_directory(model + file);
      expect_error_or_none([&] { ImageModel::load(model); }, file);
      fs::remove(model + file);
      fs::create_symlink("nowhere", model + file);
      expect_error_or_none([&] { ImageModel::load(model); }, file);
      fs::remove(model + file);
      write_file_atomic(model + file, kept);
    }
    EXPECT_NO_THROW(ImageModel::load(model));
  }
}

TEST(ModelFolder, OfALoraIsReadOrRefusedWhateverItsFilesSay) {
  std::mt19937_64 random(4);
  auto model = random_sd3();
  LoraAdapter adapter(*model, small_lora(), 1);
  const auto state = adapter.state();
  const auto weights = state_dict(*model);
  const TemporaryFolder folder;
  const std::string peft = folder / "peft";
  save_peft_adapter(peft, small_lora(), state);
  const std::string config = peft + "/adapter_config.json";
  const std::string kept = read_file(config);
  for (int i = 0; i < 300; ++i) {
    const auto text = mutated(kept, random);
    write_file_atomic(config, text);
    expect_error_or_none([&] { load_lora(peft, "transformer", weights); },
                         text);
  }
  save_diffusers_lora(folder / "diffusers", small_lora(), state);
  const std::string path = folder / "diffusers/" + kDiffusersLora;
  const auto file = read_safetensors(path);
  for (int i = 0; i < 100; ++i) {
    auto metadata = file.metadata;
    auto& text = metadata[kDiffusersMetadata];
    text = mutated(file.metadata.at(kDiffusersMetadata), random);
    try {
      write_safetensors(path, file.tensors, metadata);
    } catch (const Error&) {
      continue;  // no UTF-8: no such file
    }
    expect_error_or_none([&] { load_lora(path, "transformer", weights); },
                         text);
  }
}

/** The error of a model folder with one number changed. */
std::string error_with(const std::string& source, const std::string& file,
                       const json& change) {
  const TemporaryFolder folder;
  link_model(source, folder / "m");
  const std::string path = folder / "m/" + file;
  json config = read_json(path);
  config.update(change);
  write_json_atomic(path, config);
  return error_of([&] { ImageModel::load(folder / "m"); });
}

TEST(ModelFolder, NumbersAreCheckedBeforeMemoryIsAskedFor) {
  for (const int64_t huge : {int64_t{2'000'000'000}, int64_t{1} << 62}) {
    for (const char* key :
         {"num_layers", "attention_head_dim", "num_attention_heads",
          "joint_attention_dim", "pooled_projection_dim", "in_channels",
          "out_channels", "sample_size", "patch_size", "pos_embed_max_size",
          "caption_projection_dim"}) {
      expect_parts(error_with(kFlow, "transformer/config.json", {{key, huge}}),
                   {"config.json", key, std::to_string(huge), "at most"});
    }
    for (const char* key : {"vocab_size", "hidden_size", "intermediate_size",
                            "projection_dim", "num_hidden_layers",
                            "num_attention_heads", "max_position_embeddings"}) {
      expect_parts(error_with(kFlow, "text_encoder/config.json", {{key, huge}}),
                   {"config.json", key, std::to_string(huge), "at most"});
    }
    for (const char* key : {"layers_per_block", "cross_attention_dim",
                            "in_channels", "sample_size"}) {
      expect_parts(error_with(kDiffusion, "unet/config.json", {{key, huge}}),
                   {"config.json", key, std::to_string(huge), "at most"});
    }
    expect_parts(error_with(kFlow, "scheduler/scheduler_config.json",
                            {{"num_train_timesteps", huge}}),
                 {"scheduler_config.json", "num_train_timesteps", "at most"});
  }
}

// In range, yet terabytes: the tensors that lie there say no.
TEST(ModelFolder, SizesAreThoseOfTheTensorsBeforeANetworkIsBuilt) {
  expect_parts(
      error_with(kFlow, "transformer/config.json", {{"num_layers", 1000}}),
      {"transformer_blocks.999.attn.to_q.weight", "missing"});
  expect_parts(error_with(kFlow, "transformer/config.json",
                          {{"joint_attention_dim", 65536}}),
               {"context_embedder.weight", "has shape", "65536"});
  expect_parts(error_with(kFlow, "text_encoder/config.json",
                          {{"vocab_size", 16'000'000}}),
               {"token_embedding.weight", "has shape", "16000000"});
  expect_parts(error_with(kDiffusion, "unet/config.json",
                          {{"cross_attention_dim", 65536}}),
               {"attn2.to_k.weight", "has shape", "65536"});
  expect_parts(
      error_with(kDiffusion, "unet/config.json", {{"layers_per_block", 64}}),
      {"down_blocks.0.resnets.63.conv2.weight", "missing"});
}

TEST(ModelFolder, SaysWhatItPassesOver) {
  const TemporaryFolder folder;
  link_model(kDiffusion, folder / "m");
  EXPECT_TRUE(folder_warnings(folder / "m").empty());
  const std::string path = folder / "m/scheduler/scheduler_config.json";
  json config = read_json(path);
  config.update(
      {{"variance_type", "fixed_small"}, {"final_sigmas_type", "zero"}});
  write_json_atomic(path, config);
  const auto warnings = folder_warnings(folder / "m");
  ASSERT_EQ(warnings.size(), 1U);
  expect_parts(warnings[0],
               {path, "final_sigmas_type, variance_type", "passed over"});
  EXPECT_EQ(ImageModel::load(folder / "m").path->times(10),
            ImageModel::load(kDiffusion).path->times(10));
}

TEST(ModelFolder, TokensNeedAnEmbedding) {
  const TemporaryFolder folder;
  link_model(kFlow, folder / "m");
  const auto size = check_model(kFlow)->tokenizer().vocabulary_size();
  write_json_atomic(folder / "m/tokenizer/added_tokens.json",
                    {{"<toy>", size}});
  expect_parts(error_of([&] { ImageModel::load(folder / "m"); }),
               {"tokenizer", std::to_string(size), "vocab_size"});
  fs::remove(folder / "m/tokenizer/added_tokens.json");
  const std::string path = folder / "m/tokenizer/tokenizer_config.json";
  json config = read_json(path);
  config["model_max_length"] = 400;
  write_json_atomic(path, config);
  expect_parts(error_of([&] { ImageModel::load(folder / "m"); }),
               {"model_max_length is 400", "max_position_embeddings"});
  config["model_max_length"] = 1e30;
  write_json_atomic(path, config);
  EXPECT_EQ(check_model(folder / "m")->tokenizer().max_length(),
            check_model(kFlow)->tokenizer().max_length());
}

TEST(Truncation, IsSaidWithACountAndAnExample) {
  const auto encoders = check_model(kFlow);
  std::string longest = "a";
  for (int64_t i = 3; i < encoders->tokenizer().max_length(); ++i)
    longest += " a";
  EXPECT_EQ(truncation_warning(*encoders, {"a red circle", longest}, "prompts"),
            "");
  const std::string cut = longest + " red circle";
  expect_parts(
      truncation_warning(*encoders, {longest, cut, cut + "s"}, "prompts"),
      {"2 of 3 prompts are longer", "14 tokens", '"' + cut + '"'});
}

}  // namespace
}  // namespace rsm
