#include "rsm/text/clip_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

// Both sides do the same float32 operations, in orders that may differ.
constexpr double kTolerance = 1e-5;

ClipTextConfig small_config() {
  ClipTextConfig config;
  config.vocab_size = 30;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.projection_dim = 10;
  config.num_hidden_layers = 2;
  config.num_attention_heads = 2;
  config.max_position_embeddings = 7;
  config.pad_token_id = 29;
  config.bos_token_id = 28;
  config.eos_token_id = 29;
  return config;
}

torch::Tensor small_ids() {
  return at::tensor({28, 4, 9, 29, 29, 29, 29, 28, 3, 3, 8, 1, 0, 29},
                    at::kLong)
      .view({2, 7});
}

std::map<std::string, torch::Tensor> by_name(const ClipTextOutput& out) {
  std::map<std::string, torch::Tensor> found = {
      {"last_hidden_state", out.last_hidden_state},
      {"penultimate", out.penultimate},
      {"pooled", out.pooled}};
  if (out.text_embeds.defined()) found["text_embeds"] = out.text_embeds;
  return found;
}

/** The entries of `all` whose names begin with `prefix`, without it. */
StateDict part(const StateDict& all, const std::string& prefix) {
  StateDict out;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) out[name.substr(prefix.size())] = tensor;
  }
  return out;
}

void expect_near(const torch::Tensor& actual, const torch::Tensor& expected,
                 double scale, const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  const double off = (actual - expected).abs().max().item<double>();
  EXPECT_LE(off, kTolerance * scale) << what;
}

void expect_outputs(const ClipTextOutput& out, const StateDict& expected,
                    const std::string& what) {
  const auto found = by_name(out);
  ASSERT_EQ(found.size(), expected.size()) << what;
  for (const auto& [name, tensor] : expected) {
    expect_near(found.at(name), tensor, tensor.abs().max().item<double>(),
                what + " " + name);
  }
}

ClipTextModel load(const std::string& folder) {
  const json config = read_json(folder + "/config.json");
  ClipTextModel model(
      ClipTextConfig::from_json(config),
      config.at("architectures").at(0) == "CLIPTextModelWithProjection");
  load_parameters(
      *model,
      clip_text_names(read_safetensors(folder + "/model.safetensors").tensors),
      folder);
  return model;
}

ClipTextModel random_clip(const ClipTextConfig& config, bool with_projection) {
  ClipTextModel model(config, with_projection);
  fill(*model, 0, 0.3, 0.3);
  return model;
}

void write(const std::string& folder, bool with_projection) {
  const auto model = random_clip(small_config(), with_projection);
  fs::create_directories(folder);
  write_json_atomic(folder + "/config.json",
                    small_config().to_json(with_projection));
  write_safetensors(folder + "/model.safetensors", state_dict(*model),
                    {{"format", "pt"}});
  write_safetensors(folder + "/ids.safetensors", {{"ids", small_ids()}});
}

/** Outputs and gradients of transformers' models. */
void expect_cases(const std::string& root) {
  for (const char* name :
       {"quick_legacy_eos", "gelu_five_heads", "one_layer", "gelu_plain"}) {
    const std::string folder = root + "/" + name;
    auto model = load(folder);
    const auto peer = read_safetensors(folder + "/peer.safetensors").tensors;
    const auto out = model(peer.at("ids"));
    expect_outputs(out, part(peer, "output."), name);
    auto loss = at::zeros({});
    for (const auto& [key, value] : by_name(out)) {
      loss = loss + (value * peer.at("weight." + key)).sum();
    }
    loss.backward();
    const auto expected = clip_text_names(part(peer, "grad."));
    ASSERT_EQ(expected.size(), model->named_parameters().size());
    for (const auto& item : model->named_parameters()) {
      // A constant in all keys changes no attention: the gradient of k_proj's
      // bias is rounding alone, measured by that of its weight.
      std::string measure = item.key();
      if (const auto at = measure.find("k_proj.bias"); at < measure.size()) {
        measure.replace(at, 11, "k_proj.weight");
      }
      expect_near(item.value().grad(), expected.at(item.key()),
                  expected.at(measure).abs().max().item<double>(),
                  std::string(name) + " gradient of " + item.key());
    }
  }
}

/** What transformers makes of our folders. */
void expect_ours(const std::string& root) {
  for (const char* name : {"ours_projected", "ours_plain"}) {
    const std::string folder = root + "/" + name;
    expect_outputs(
        load(folder)(small_ids()),
        part(read_safetensors(folder + "/peer.safetensors").tensors, "output."),
        name);
  }
}

TEST(ClipText, IsTransformersModel) {
  const std::string python = RSM_SOURCE_DIR "/.venv-test/bin/python";
  ASSERT_TRUE(fs::exists(python)) << python << " is missing: make setup-tests";
  std::string root = fs::temp_directory_path() / "clip_text_XXXXXX";
  ASSERT_NE(::mkdtemp(root.data()), nullptr);
  write(root + "/ours_projected", true);
  write(root + "/ours_plain", false);
  const std::string command =
      python + " " RSM_SOURCE_DIR "/tests/python/clip_text_peer.py " + root +
      " > " + root + "/log.txt 2>&1";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(root + "/log.txt");
  expect_cases(root);
  expect_ours(root);
  fs::remove_all(root);
}

TEST(ClipText, IsCausal) {
  auto model = random_clip(small_config(), false);
  const torch::NoGradGuard no_grad;
  auto changed = small_ids();
  changed.narrow(1, 4, 3).fill_(5);
  const auto before = model(small_ids()).last_hidden_state;
  const auto after = model(changed).last_hidden_state;
  EXPECT_TRUE(at::equal(before.narrow(1, 0, 4), after.narrow(1, 0, 4)));
  EXPECT_FALSE(at::allclose(before.narrow(1, 4, 1), after.narrow(1, 4, 1)));
}

TEST(ClipText, PoolsAtTheFirstEndOfEachText) {
  auto config = small_config();
  const torch::NoGradGuard no_grad;
  for (const int64_t eos : {int64_t{29}, int64_t{2}, int64_t{3}}) {
    config.eos_token_id = eos;
    auto model = random_clip(config, false);
    const auto out = model(small_ids());
    // No 3 in the first text: its first token. 2 stands for the largest id.
    const std::vector<int64_t> place =
        eos == 3 ? std::vector<int64_t>{0, 1} : std::vector<int64_t>{3, 6};
    for (int64_t row = 0; row < 2; ++row) {
      EXPECT_TRUE(
          at::equal(out.pooled[row], out.last_hidden_state[row][place[row]]));
    }
  }
}

TEST(ClipText, ReadsBothSpellingsOfItsNames) {
  const auto one = at::ones({1});
  const auto names =
      clip_text_names(StateDict{{"encoder.layers.0.mlp.fc1.bias", one},
                                {"text_model.final_layer_norm.bias", one},
                                {"text_projection.weight", one},
                                {"text_model.embeddings.position_ids", one},
                                {"vision_model.post_layernorm.bias", one},
                                {"visual_projection.weight", one},
                                {"logit_scale", one}});
  std::vector<std::string> found;
  for (const auto& [name, tensor] : names) found.push_back(name);
  EXPECT_EQ(found,
            (std::vector<std::string>{
                "text_model.encoder.layers.0.mlp.fc1.bias",
                "text_model.final_layer_norm.bias", "text_projection.weight"}));
}

TEST(ClipTextConfig, SurvivesItsJson) {
  auto config = small_config();
  config.hidden_act = "gelu";
  config.layer_norm_eps = 1e-3;
  const json written = config.to_json(false);
  EXPECT_EQ(ClipTextConfig::from_json(written).to_json(false), written);
  EXPECT_EQ(ClipTextConfig::from_json(json::object()).to_json(true),
            ClipTextConfig().to_json(true));
}

TEST(ClipTextConfig, OfAWholeClipHasItsProjection) {
  const json whole = {
      {"model_type", "clip"},
      {"projection_dim", 9},
      {"text_config", {{"hidden_size", 16}, {"projection_dim", 512}}}};
  const auto config = ClipTextConfig::from_json(whole);
  EXPECT_EQ(config.hidden_size, 16);
  EXPECT_EQ(config.projection_dim, 9);
}

TEST(ClipTextConfig, NamesTheKeyItCannotTake) {
  const std::vector<std::pair<json, std::string>> wrong = {
      {{{"hidden_size", "wide"}}, "hidden_size is \"wide\""},
      {{{"hidden_size", 10}, {"num_attention_heads", 4}}, "hidden_size is 10"},
      {{{"num_hidden_layers", 0}}, "num_hidden_layers is 0"},
      {{{"eos_token_id", {1, 2}}}, "eos_token_id is [1,2]"},
      {{{"layer_norm_eps", 0}}, "layer_norm_eps is 0"},
      {{{"hidden_act", "gelo"}}, "did you mean \"gelu\""},
      {json::array(), "my.json holds: array"},
  };
  for (const auto& [value, said] : wrong) {
    try {
      ClipTextConfig::from_json(value, "my.json");
      ADD_FAILURE() << value;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(said), std::string::npos)
          << error.what();
    }
  }
}

TEST(ClipText, RefusesIdsItCannotPlace) {
  ClipTextModel model(small_config(), true);
  for (const auto& ids :
       {at::zeros({2, 8}, at::kLong), at::zeros({2, 0}, at::kLong),
        at::zeros({7}, at::kLong), at::zeros({2, 7}, at::kFloat)}) {
    EXPECT_THROW(model(ids), Error);
  }
}

}  // namespace
}  // namespace rsm
