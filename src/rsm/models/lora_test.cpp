#include "rsm/models/lora.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

using nlohmann::json;

TEST(LoraTargets, MatchAsInPeft) {
  const Sd3Transformer model(small_sd3_config());
  json asked = {{"targets",
                 {LoraConfig().targets,
                  {"to_q"},
                  {"0.attn.to_q", "proj_out"},
                  {"transformer_blocks.1.ff.net.2"},
                  {"attn", "o_k"},
                  {"q", ".to_q", "transformer_blocks.0"}}}};
  for (const auto& item : model->named_modules("", false)) {
    asked["names"].push_back(item.key());
  }
  const TemporaryFolder folder;
  write_json_atomic(folder / "asked.json", asked);
  run_python("lora_peer.py",
             "targets " + folder / "asked.json" + " " + folder / "found.json");
  const json found = read_json(folder / "found.json");
  ASSERT_EQ(found.size(), asked["targets"].size());
  for (size_t i = 0; i < found.size(); ++i) {
    json own = json::array();
    for (const std::string name : asked["names"]) {
      if (lora_target_matches(name, asked["targets"][i])) own.push_back(name);
    }
    EXPECT_EQ(own, found[i]) << asked["targets"][i];
  }
  EXPECT_EQ(found[0].size(), 15);  // the last block has no to_add_out
}

TEST(LoraTargets, ThatMatchNoLinearLayerAreErrors) {
  auto model = random_sd3();
  const auto error = [&](const std::vector<std::string>& targets) {
    LoraConfig config;
    config.targets = targets;
    return error_of([&] { LoraAdapter(*model, config, 1); });
  };
  expect_parts(error({"attn.to_q", "attn.to_kk"}),
               {"[LoraAdapter]", "\"attn.to_kk\"", "\"attn.to_k\""});
  expect_parts(error({"0.attn.to_w"}), {"\"0.attn.to_"});
  expect_parts(error({"mid_block.resnets.conv1"}), {"matches no layer"});
  expect_parts(error({"attn2"}), {"transformer_blocks.0.attn2", "no linear"});
  expect_parts(error({"norm_q"}), {"attn.norm_q", "no convolution"});
  expect_parts(error({"all-linear", "attn.to_q"}), {"all-linear", "alone"});
  expect_parts(error({}), {"no targets"});
  expect_parts(error({""}), {"empty"});
}

TEST(LoraTargets, ThatExcludeNothingAreErrors) {
  auto model = random_sd3();
  const auto error = [&](const std::vector<std::string>& exclude) {
    LoraConfig config;
    config.targets = {"attn.to_q", "attn.to_k"};
    config.exclude = exclude;
    return error_of([&] { LoraAdapter(*model, config, 1); });
  };
  // The first is a layer that isn't adapted, the second holds such.
  expect_parts(error({"attn.to_v"}), {"exclude \"attn.to_v\"", "adapted"});
  expect_parts(error({"attn"}),
               {"exclude \"attn\"", "a layer's name", "attn."});
  expect_parts(error({"0.attn.to_w"}), {"did it mean \"0.attn.to_"});
  expect_parts(error({""}), {"exclude", "empty"});
  expect_parts(error({"to_q", "to_k"}), {"leaves no layer"});
}

TEST(LoraTargets, AreTheLayersThatPeftAdapts) {
  Sd3Transformer sd3(small_sd3_config());
  Unet unet(small_unet_config());
  const std::vector<NetworkModule*> models = {sd3.get(), unet.get()};
  const json asked = {
      {{"targets", kAllLinear}, {"exclude", json::array()}},
      {{"targets", kAllLinear}, {"exclude", {"to_q", "net.2", "linear_1"}}},
      {{"targets", {"to_q", "to_out.0"}}, {"exclude", {"0.attn1.to_q"}}},
      {{"targets", {"to_q", "to_k"}}, {"exclude", {"to_q"}}}};
  json given = {{"asked", asked}};
  for (auto* model : models) {
    given["models"].push_back(model->config_json());
  }
  const TemporaryFolder folder;
  write_json_atomic(folder / "asked.json", given);
  run_python("lora_peer.py",
             "layers " + folder / "asked.json" + " " + folder / "found.json");
  const json found = read_json(folder / "found.json");
  ASSERT_EQ(found.size(), models.size());
  for (size_t m = 0; m < models.size(); ++m) {
    ASSERT_EQ(found[m].size(), asked.size());
    for (size_t i = 0; i < asked.size(); ++i) {
      LoraConfig config;
      const json& targets = asked[i]["targets"];
      config.targets = targets.is_array()
                           ? targets.get<std::vector<std::string>>()
                           : std::vector<std::string>{kAllLinear};
      for (const std::string word : asked[i]["exclude"]) {
        if (m == 0 && word == "0.attn1.to_q") continue;  // the UNet's
        config.exclude.push_back(word);
      }
      json own = json::array();
      const LoraAdapter adapter(*models[m], config, 1);
      for (const auto& pair : lora_pairs(adapter.state(), config.rank, "")) {
        own.push_back(pair.module);
      }
      EXPECT_EQ(own, found[m][i]) << asked[i];
    }
  }
  // A block with two attentions: 8 + 4, feed-forward 2 + 2, norms 2; the last:
  // 7, 2, 2. Embedders 2 + 2 + 1, the last norm, proj_out.
  EXPECT_EQ(found[0][0].size(), 18 + 11 + 5 + 2);
}

TEST(LoraConfig, ThatIsImpossibleIsAnError) {
  auto config = small_lora();
  config.rank = 0;
  expect_parts(error_of([&] { config.check(); }), {"rank is 0"});
  config = small_lora();
  config.alpha = std::numeric_limits<double>::quiet_NaN();
  expect_parts(error_of([&] { config.check(); }), {"alpha is nan"});
}

TEST(LoraAdapter, StartsAsPeftsGaussian) {
  auto model = random_sd3();
  const auto before = velocity(model);
  auto config = small_lora();
  config.rank = 64;
  const LoraAdapter adapter(*model, config, 42);
  EXPECT_TRUE(velocity(model).equal(before));
  EXPECT_EQ(adapter.names().size(), 30U);
  std::vector<torch::Tensor> downs;
  for (const auto& [name, tensor] : adapter.state()) {
    if (name.ends_with("lora_B.weight")) {
      EXPECT_EQ(tensor.abs().max().item<double>(), 0) << name;
    } else {
      downs.push_back(tensor.flatten());
    }
  }
  const auto all = at::cat(downs) * 64;
  // 23040 standard normal numbers: four standard errors.
  EXPECT_NEAR(all.mean().item<double>(), 0, 0.027);
  EXPECT_NEAR(all.std().item<double>(), 1, 0.019);
}

TEST(LoraAdapter, IsDeterminedByItsSeed) {
  auto a = random_sd3(), b = random_sd3(), c = random_sd3();
  const LoraAdapter one(*a, small_lora(), 5), same(*b, small_lora(), 5),
      other(*c, small_lora(), 6);
  for (const auto& [name, tensor] : one.state()) {
    EXPECT_TRUE(tensor.equal(same.state().at(name))) << name;
    EXPECT_EQ(tensor.equal(other.state().at(name)), name.ends_with("B.weight"));
  }
}

TEST(LoraAdapter, NamesItsParametersInOrder) {
  auto model = random_sd3();
  LoraConfig config = small_lora();
  config.targets = {"attn.to_q", "attn.to_out.0"};
  const LoraAdapter adapter(*model, config, 1);
  const std::vector<std::string> names = {
      "transformer_blocks.0.attn.to_out.0.lora_A.weight",
      "transformer_blocks.0.attn.to_out.0.lora_B.weight",
      "transformer_blocks.0.attn.to_q.lora_A.weight",
      "transformer_blocks.0.attn.to_q.lora_B.weight",
      "transformer_blocks.1.attn.to_out.0.lora_A.weight",
      "transformer_blocks.1.attn.to_out.0.lora_B.weight",
      "transformer_blocks.1.attn.to_q.lora_A.weight",
      "transformer_blocks.1.attn.to_q.lora_B.weight"};
  EXPECT_EQ(adapter.names(), names);
  const auto state = adapter.state();
  const auto parameters = adapter.parameters();
  ASSERT_EQ(parameters.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(state.at(names[i]).data_ptr(), parameters[i].data_ptr());
    EXPECT_TRUE(parameters[i].is_leaf() && parameters[i].requires_grad());
    EXPECT_EQ(parameters[i].scalar_type(), at::kFloat);
  }
  for (const auto& own : model->parameters()) {
    EXPECT_FALSE(own.requires_grad());
  }
}

TEST(LoraAdapter, EqualsMergedWeights) {
  auto model = random_sd3();
  LoraAdapter adapter(*model, small_lora(), 1);
  const auto plain = velocity(model);
  randomise(adapter, 1);
  const auto adapted = velocity(model);
  EXPECT_GT(relative(adapted, plain), 0.05);

  Sd3Transformer copy(small_sd3_config());
  load_parameters(*copy, adapter.merged(), "test");
  EXPECT_LT(relative(velocity(copy), adapted), kFloatTolerance);

  adapter.set_enabled(false);
  EXPECT_TRUE(velocity(model).equal(plain));
  adapter.set_enabled(true);
  EXPECT_TRUE(velocity(model).equal(adapted));
}

TEST(LoraAdapter, MergesOtherValuesThanItsOwn) {
  auto model = random_sd3();
  LoraAdapter adapter(*model, small_lora(), 1);
  randomise(adapter, 1);
  StateDict other;
  for (const auto& [name, tensor] : adapter.state()) {
    other[name] = tensor.clone();
  }
  const auto wanted = velocity(model);
  randomise(adapter, 2);
  Sd3Transformer copy(small_sd3_config());
  load_parameters(*copy, merged(state_dict(*model), other, small_lora()),
                  "test");
  EXPECT_LT(relative(velocity(copy), wanted), kFloatTolerance);
  EXPECT_GT(relative(velocity(model), wanted), 0.05);
}

// dL/dA = scale B' dL/dW and dL/dB = scale dL/dW A', with W the merged weight.
TEST(LoraAdapter, HasTheGradientsOfMergedWeights) {
  auto model = random_sd3();
  LoraAdapter adapter(*model, small_lora(), 1);
  randomise(adapter, 3);
  const auto weight = test_normal(9, {2, 3, 8, 8});
  (velocity(model) * weight).sum().backward();
  Sd3Transformer copy(small_sd3_config());
  load_parameters(*copy, adapter.merged(), "test");
  (velocity(copy) * weight).sum().backward();
  const auto dense = copy->named_parameters();
  const auto parameters = adapter.parameters();
  const double scale = small_lora().scale();
  for (size_t i = 0; i < parameters.size(); i += 2) {
    const auto& down = parameters[i];
    const auto& up = parameters[i + 1];
    const std::string& name = adapter.names()[i];
    const auto g =
        dense[name.substr(0, name.find(".lora_A")) + ".weight"].grad();
    EXPECT_LT(relative(down.grad(), scale * at::mm(up.t(), g)), 1e-4) << name;
    EXPECT_LT(relative(up.grad(), scale * at::mm(g, down.t())), 1e-4) << name;
  }
}

TEST(LoraAdapter, KeepsFloat32BesideBfloat16Weights) {
  auto exact = random_sd3();
  auto model = random_sd3();
  model->to(at::kBFloat16);
  LoraAdapter exact_adapter(*exact, small_lora(), 1);
  LoraAdapter adapter(*model, small_lora(), 1);
  randomise(exact_adapter, 4);
  randomise(adapter, 4);
  const auto out = velocity(model);
  const auto exact_out = velocity(exact);
  EXPECT_EQ(out.scalar_type(), at::kBFloat16);
  // A few roundings to 8 bits in each of two blocks.
  EXPECT_LT(relative(out.to(at::kFloat), exact_out), 0.05);
  out.sum().backward();
  exact_out.sum().backward();
  const auto parameters = adapter.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto grad = parameters[i].grad();
    const auto exact_grad = exact_adapter.parameters()[i].grad();
    EXPECT_EQ(grad.scalar_type(), at::kFloat);
    EXPECT_LT(((grad - exact_grad).norm()).item<double>(),
              0.1 * exact_grad.norm().item<double>() + 1e-12)
        << adapter.names()[i];
  }
  const auto whole = adapter.merged();
  EXPECT_EQ(whole.at("transformer_blocks.0.attn.to_q.weight").scalar_type(),
            at::kFloat);
  EXPECT_EQ(whole.at("proj_out.weight").scalar_type(), at::kBFloat16);
}

TEST(LoraAdapter, DetachesAtItsEnd) {
  auto model = random_sd3();
  const auto plain = velocity(model);
  {
    LoraAdapter adapter(*model, small_lora(), 1);
    randomise(adapter, 1);
    EXPECT_FALSE(velocity(model).equal(plain));
    expect_parts(error_of([&] { LoraAdapter(*model, small_lora(), 2); }),
                 {"has an adapter already"});
    EXPECT_FALSE(velocity(model).equal(plain)) << "the first one is still on";
  }
  EXPECT_TRUE(velocity(model).equal(plain));
  LoraAdapter(*model, small_lora(), 2);
}

TEST(LoraAdapter, RefusesAStateOfAnotherShape) {
  auto model = random_sd3();
  LoraAdapter adapter(*model, small_lora(), 1);
  randomise(adapter, 1);
  StateDict kept;
  for (const auto& [name, tensor] : adapter.state()) {
    kept[name] = tensor.clone();
  }
  const std::string name = "transformer_blocks.0.attn.to_q.lora_A.weight";
  const auto error = [&](const std::function<void(StateDict&)>& change) {
    StateDict state;
    for (const auto& [key, tensor] : kept) {
      state[key] = tensor + 1;
    }
    change(state);
    return error_of([&] { adapter.load_state(state); });
  };
  expect_parts(error([&](auto& s) { s.erase(name); }), {name, "missing"});
  expect_parts(error([&](auto& s) {
                 s[name] = at::zeros({4, 24});
               }),
               {name, "[4, 24]", "[8, 24]"});
  expect_parts(error([&](auto& s) {
                 s[name + "x"] = at::zeros({8, 24});
               }),
               {name + "x", "did it mean \"" + name + "\""});
  for (const auto& [key, tensor] : adapter.state()) {
    EXPECT_TRUE(tensor.equal(kept.at(key))) << key;
  }
}

TEST(MergedWeights, RefuseALoraOfAnotherModel) {
  const StateDict base = {{"a.weight", at::zeros({3, 5})}};
  const auto error = [&](const StateDict& lora) {
    auto config = small_lora();
    config.rank = 2;
    return error_of([&] { merged(base, lora, config); });
  };
  const auto down = at::zeros({2, 5});
  const auto up = at::zeros({3, 2});
  expect_parts(error({{"b.lora_A.weight", down}, {"b.lora_B.weight", up}}),
               {"b.weight", "another model"});
  expect_parts(error({{"a.lora_A.weight", down}}),
               {"a.lora_B.weight", "missing"});
  expect_parts(error({{"a.lora_A.weight", down}, {"a.bias", up}}),
               {"a.bias", "no part"});
  expect_parts(error({{"a.lora_A.weight", up}, {"a.lora_B.weight", up}}),
               {"a.lora_A.weight", "[3, 2]", "rank 2"});
  expect_parts(
      error({{"a.lora_A.weight", at::zeros({2, 4})}, {"a.lora_B.weight", up}}),
      {"a.weight", "[3, 5]", "[3, 4]"});
}

}  // namespace
}  // namespace rsm
