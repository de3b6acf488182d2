#include "rsm/models/lora_files.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

using nlohmann::json;

struct SavedLora {
  TemporaryFolder folder;
  LoraConfig config = small_lora();
  StateDict state;
  torch::Tensor velocity;
};

/** A model, its adapter in both formats in one folder, inputs and our
 * velocity. */
std::unique_ptr<SavedLora> saved_lora(const LoraConfig& config = small_lora()) {
  auto out = std::make_unique<SavedLora>();
  out->config = config;
  auto model = random_sd3();
  LoraAdapter adapter(*model, out->config, 1);
  randomise(adapter, 5);
  const torch::NoGradGuard no_grad;
  out->velocity = velocity(model);
  for (const auto& [name, tensor] : adapter.state()) {
    out->state[name] = tensor.clone();
  }
  const auto& folder = out->folder;
  std::filesystem::create_directories(folder / "transformer");
  write_json_atomic(folder / "transformer/config.json",
                    model->config().to_json());
  write_safetensors(folder / "transformer/diffusion_pytorch_model.safetensors",
                    state_dict(*model), {{"format", "pt"}});
  write_safetensors(folder / "inputs.safetensors", sd3_inputs());
  save_peft_adapter(folder / "lora", out->config, out->state);
  save_diffusers_lora(folder / "lora", out->config, out->state);
  return out;
}

void expect_equal(const LoraFile& file, const SavedLora& saved) {
  EXPECT_EQ(file.config.rank, saved.config.rank);
  EXPECT_EQ(file.config.alpha, saved.config.alpha);
  ASSERT_EQ(file.tensors.size(), saved.state.size());
  for (const auto& [name, tensor] : saved.state) {
    EXPECT_TRUE(file.tensors.at(name).equal(tensor)) << name;
  }
}

/** Bytes that nobody has to write would become gigabytes. */
TEST(LoraFiles, OfNoNumbersOrAnyRankAreRefused) {
  const auto huge = int64_t{1} << 40;
  expect_parts(error_of([&] {
                 lora_matrix(at::empty({huge, 0}), "a.lora_A", "f");
               }),
               {"a.lora_A", "no numbers"});
  const StateDict wide = {{"a.lora_A.weight", at::zeros({70000, 1})},
                          {"a.lora_B.weight", at::zeros({1, 70000})}};
  expect_parts(error_of([&] {
                 evened(wide, {{"a", 1.0}}, "f");
               }),
               {"f", "70000", "65536"});
}

TEST(LoraFiles, ComeBackAsTheyWere) {
  const auto saved = saved_lora();
  const auto peft = load_peft_adapter(saved->folder / "lora");
  const auto diffusers = load_diffusers_lora(saved->folder / "lora");
  expect_equal(peft, *saved);
  expect_equal(diffusers, *saved);
  EXPECT_EQ(peft.config.targets, saved->config.targets);
  EXPECT_EQ(diffusers.config.targets, saved->config.targets);
}

/** Every linear layer but some. */
LoraConfig nearly_all_linear() {
  LoraConfig config = small_lora();
  config.targets = {kAllLinear};
  config.exclude = {"norm_out.linear", "0.ff.net.2"};
  return config;
}

TEST(LoraFiles, GiveTheSameVelocityInPeftAndDiffusers) {
  auto with_convolution = small_lora();
  with_convolution.targets.push_back("pos_embed.proj");
  for (const auto& config : {with_convolution, nearly_all_linear()}) {
    const auto saved = saved_lora(config);
    run_python("lora_peer.py", "velocities " + saved->folder.path());
    const auto found =
        read_safetensors(saved->folder / "velocities.safetensors").tensors;
    for (const char* reader : {"peft", "diffusers", "pipeline"}) {
      EXPECT_LT(relative(found.at(reader), saved->velocity), kFloatTolerance)
          << reader << ", " << config.targets.back();
    }
  }
}

TEST(LoraFiles, OfPeftAndDiffusersAreRead) {
  for (const auto& config : {small_lora(), nearly_all_linear()}) {
    const auto saved = saved_lora(config);
    run_python("lora_peer.py", "resave " + saved->folder.path());
    for (const auto& file :
         {load_peft_adapter(saved->folder / "resaved_peft"),
          load_diffusers_lora(saved->folder / "resaved_diffusers")}) {
      expect_equal(file, *saved);
      auto model = random_sd3();
      LoraAdapter adapter(*model, file.config, 9);
      adapter.load_state(file.tensors);
      EXPECT_TRUE(velocity(model).equal(saved->velocity));
    }
  }
}

TEST(LoraFiles, NameTheLayersThatAllLinearStandsFor) {
  const auto saved = saved_lora(nearly_all_linear());
  for (const auto& file : {load_peft_adapter(saved->folder / "lora"),
                           load_diffusers_lora(saved->folder / "lora")}) {
    expect_equal(file, *saved);
    EXPECT_EQ(file.config.targets.size() * 2, saved->state.size());
    EXPECT_TRUE(file.config.exclude.empty());
  }
}

TEST(LoraFiles, KeepWhatAListOfTargetsExcludes) {
  LoraConfig config = small_lora();
  config.exclude = {"0.attn.to_q"};
  const auto saved = saved_lora(config);
  for (const auto& file : {load_peft_adapter(saved->folder / "lora"),
                           load_diffusers_lora(saved->folder / "lora")}) {
    EXPECT_EQ(file.config.targets, config.targets);
    EXPECT_EQ(file.config.exclude, config.exclude);
    auto model = random_sd3();
    LoraAdapter(*model, file.config, 9).load_state(file.tensors);
  }
}

TEST(LoraFiles, WithoutMetadataHaveAlphaEqualToRank) {
  const auto saved = saved_lora();
  const std::string path =
      saved->folder / "lora/pytorch_lora_weights.safetensors";
  write_safetensors(path, read_safetensors(path).tensors);
  const auto file = load_diffusers_lora(saved->folder / "lora");
  EXPECT_EQ(file.config.rank, 8);
  EXPECT_EQ(file.config.alpha, 8);
  auto model = random_sd3();
  LoraAdapter(*model, file.config, 1).load_state(file.tensors);
}

TEST(LoraFiles, OfOtherKindsAreErrors) {
  const auto saved = saved_lora();
  const std::string path = saved->folder / "lora/adapter_config.json";
  const json plain = read_json(path);
  const auto error = [&](const json& change) {
    json config = plain;
    config.update(change);
    write_json_atomic(path, config);
    return error_of([&] { load_peft_adapter(saved->folder / "lora"); });
  };
  const std::vector<std::pair<const char*, json>> changes = {
      {"peft_type", "LOHA"},
      {"use_dora", true},
      {"bias", "all"},
      {"rank_pattern", {{"to_q", "3"}}},
      {"alpha_pattern", {{"to_q", 3}, {".*q", 4}}},
      {"alpha_pattern", {{"to_(", 3}}},
      {"alpha_pattern", {{std::string(300, '('), 3}}},
      {"alpha_pattern", "to_q"},
      {"r", nullptr},
      {"lora_alpha", "16"},
      {"modules_to_save", {"proj_out"}}};
  for (const auto& [key, value] : changes) {
    expect_parts(error({{key, value}}), {"adapter_config.json", key});
  }
  expect_parts(error({{"r", 4}}), {"lora_A.weight", "rank 4"});
  expect_parts(error({{"rank_pattern", {{"attn.to_q", 4}}}}),
               {"attn.to_q.lora_A.weight", "rank 4"});
  expect_parts(error({{"use_dora", true}}), {"fuse_lora()"});

  // Which a search that goes back would not end with in a lifetime.
  json endless = plain;
  endless["rank_pattern"] = {{"(([a-z_.0-9])+)+!", 4}};
  write_json_atomic(path, endless);
  EXPECT_EQ(load_peft_adapter(saved->folder / "lora").config.rank,
            saved->config.rank);

  const std::string lora =
      saved->folder / "lora/pytorch_lora_weights.safetensors";
  auto file = read_safetensors(lora);
  file.tensors["text_encoder.a.lora_A.weight"] = at::zeros({8, 3});
  write_safetensors(lora, file.tensors, file.metadata);
  expect_parts(error_of([&] { load_diffusers_lora(saved->folder / "lora"); }),
               {"text_encoder.a.lora_A.weight", "transformer."});
}

TEST(LoraFiles, WithAPatternNameTheirLayers) {
  const auto saved = saved_lora();
  const std::string path = saved->folder / "lora/adapter_config.json";
  json config = read_json(path);
  config["target_modules"] = ".*attn\\.(to|add).*";
  write_json_atomic(path, config);
  const auto file = load_peft_adapter(saved->folder / "lora");
  EXPECT_EQ(file.config.targets.size(), 15U);
  EXPECT_EQ(file.config.targets[0], "transformer_blocks.0.attn.add_k_proj");
  auto model = random_sd3();
  LoraAdapter(*model, file.config, 1).load_state(file.tensors);
}

TEST(LoraFiles, AreNotWrittenWithLayersThatReadersPassOver) {
  const auto saved = saved_lora();
  auto config = saved->config;
  config.targets = {"attn.to_q"};
  const TemporaryFolder folder;
  const auto error =
      error_of([&] { save_peft_adapter(folder.path(), config, saved->state); });
  expect_parts(error, {"attn.add_k_proj", "no target"});
  EXPECT_EQ(folder.entries(), 0);
}

}  // namespace
}  // namespace rsm
