#include "rsm/text/t5_encoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"

namespace rsm {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/** Numbers of bfloat16 and float16 are good to 2^-9 and 2^-12. */
constexpr double kHalfTolerance = 2e-2;

T5Config small_t5_config() {
  T5Config config;
  config.vocab_size = 30;
  config.d_model = 12;
  config.d_kv = 5;
  config.d_ff = 20;
  config.num_layers = 2;
  config.num_heads = 3;
  config.relative_attention_num_buckets = 8;
  config.relative_attention_max_distance = 16;
  config.feed_forward_proj = "gated-gelu";
  return config;
}

torch::Tensor t5_ids() { return at::arange(60, at::kLong).view({2, 30}) % 30; }

T5EncoderModel random_t5() {
  T5EncoderModel model(small_t5_config());
  fill(*model, 0, 0.4, 0.4);
  return model;
}

T5EncoderModel load_t5(const std::string& folder) {
  const std::string path = folder + "/config.json";
  T5EncoderModel model(T5Config::from_json(read_json(path), path));
  const auto weights =
      t5_encoder_names(read_safetensors(folder + "/model.safetensors").tensors);
  load_parameters(*model, weights, folder);
  return model;
}

void save_ours(const std::string& folder) {
  const auto model = random_t5();
  fs::create_directories(folder);
  write_json_atomic(folder + "/config.json", model->config().to_json());
  write_safetensors(folder + "/model.safetensors", state_dict(*model),
                    {{"format", "pt"}});
  write_safetensors(folder + "/ids.safetensors", {{"ids", t5_ids()}});
}

void expect_case(const std::string& folder) {
  SCOPED_TRACE(fs::path(folder).filename().string());
  const auto peer = read_safetensors(folder + "/peer.safetensors").tensors;
  auto model = load_t5(folder);
  const auto out = model(peer.at("ids"));
  EXPECT_LT(relative(out, peer.at("out")), kFloatTolerance);
  (out * peer.at("weight")).sum().backward();
  StateDict gradients;
  for (const auto& item : model->named_parameters()) {
    gradients[item.key()] = item.value().grad();
  }
  const auto [name, gap] = worst_gradient(gradients, peer);
  EXPECT_LT(gap, kFloatTolerance) << name;
  const torch::NoGradGuard no_grad;
  for (const auto& [type, kind] : {std::pair{"bfloat16", at::kBFloat16},
                                   std::pair{"float16", at::kHalf}}) {
    model = load_t5(folder);
    model->set_type(kind);
    const auto half = model(peer.at("ids"));
    EXPECT_EQ(half.scalar_type(), kind);
    EXPECT_LT(relative(half.to(at::kFloat), peer.at(type).to(at::kFloat)),
              kHalfTolerance)
        << type;
  }
}

TEST(T5Encoder, IsTransformersModel) {
  const TemporaryFolder out;
  save_ours(out / "ours");
  run_python("t5_encoder_peer.py", out.path());
  for (const char* name : {"gated", "relu", "one_layer", "whole", "large",
                           "random_0", "random_1", "random_2", "random_3"}) {
    expect_case(out / name);
  }
  const torch::NoGradGuard no_grad;
  const auto theirs = read_safetensors(out / "ours/peer.safetensors").tensors;
  EXPECT_LT(relative(random_t5()(t5_ids()), theirs.at("out")), kFloatTolerance);
}

TEST(T5Encoder, KeepsItsLastProductsInFloat32WhereTheRestIsFloat16) {
  auto model = random_t5();
  model->set_type(at::kHalf);
  for (const auto& item : model->named_parameters()) {
    EXPECT_EQ(item.value().scalar_type(),
              item.key().ends_with("DenseReluDense.wo.weight") ? at::kFloat
                                                               : at::kHalf)
        << item.key();
  }
}

TEST(T5Encoder, ReadsEverySpellingOfItsNames) {
  const auto one = at::ones({1}), two = one * 2;
  const StateDict alias = {{"encoder.embed_tokens.weight", one},
                           {"decoder.embed_tokens.weight", one},
                           {"decoder.block.0.layer.0.layer_norm.weight", one},
                           {"lm_head.weight", one}};
  const auto found = t5_encoder_names(alias);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_TRUE(found.at("shared.weight").equal(one));
  auto both = alias;
  both["shared.weight"] = two;
  EXPECT_TRUE(t5_encoder_names(both).at("shared.weight").equal(two));
}

TEST(T5Config, SurvivesItsJsonAndBoundsItsModel) {
  auto config = small_t5_config();
  config.layer_norm_epsilon = 1e-3;
  const json written = config.to_json();
  EXPECT_EQ(T5Config::from_json(written).to_json(), written);
  EXPECT_EQ(T5Config::from_json(json::object()).to_json(),
            T5Config().to_json());
  const auto weights = state_dict(*T5EncoderModel(config));
  for (const auto& [name, shape] : config.anchors()) {
    EXPECT_EQ(weights.at(name).sizes(), shape) << name;
  }
}

TEST(T5Config, ReadsThePublishedOne) {
  const char* assets = std::getenv("RSM_ASSETS");
  const std::string path =
      cat(assets == nullptr ? "" : assets, "/configs/stabilityai/",
          "stable-diffusion-3-medium-diffusers/text_encoder_3/config.json");
  if (!fs::exists(path)) GTEST_SKIP() << "RSM_ASSETS has no text_encoder_3";
  const auto config = T5Config::from_json(read_json(path), path);
  EXPECT_EQ(config.d_model, 4096);
  EXPECT_EQ(config.num_layers, 24);
  EXPECT_TRUE(config.gated());
}

TEST(T5Config, NamesTheKeyItCannotTake) {
  const std::vector<std::pair<json, std::string>> wrong = {
      {{{"d_model", "wide"}}, "d_model is \"wide\""},
      {{{"num_layers", 0}}, "num_layers is 0"},
      {{{"relative_attention_num_buckets", 3}},
       "relative_attention_num_buckets is 3"},
      {{{"relative_attention_max_distance", 8}},
       "relative_attention_max_distance is 8"},
      {{{"layer_norm_epsilon", 0}}, "layer_norm_epsilon is 0"},
      {{{"feed_forward_proj", "gated-silu"}}, "\"gated-silu\""},
      {json::array(), "my.json holds: array"},
  };
  for (const auto& [value, said] : wrong) {
    expect_parts(
        error_of([&, &v = value] { T5Config::from_json(v, "my.json"); }),
        {"my.json", said});
  }
}

TEST(T5Encoder, RefusesIdsItCannotPlace) {
  auto model = random_t5();
  for (const auto& ids :
       {at::zeros({2, 0}, at::kLong), at::zeros({7}, at::kLong),
        at::zeros({2, 7}, at::kFloat)}) {
    expect_parts(error_of([&] { model(ids); }), {"[T5EncoderModel] ids"});
  }
}

}  // namespace
}  // namespace rsm
