#include "rsm/models/lora_start.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_testing.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet_testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A network, what it is asked, and a random LoRA of its attention. */
struct Case {
  Network network;
  StateDict inputs;
  LoraConfig config = small_lora();
  StateDict lora = {};

  Case(Network of, const std::vector<std::string>& targets, StateDict asked)
      : network(std::move(of)), inputs(std::move(asked)) {
    // Exact as a time of both kinds.
    inputs["timestep"] = at::tensor({500.0F, 125.0F});
    config.targets = targets;
    LoraAdapter adapter(*network, config, 1);
    randomise(adapter, 5);
    lora = copied(adapter.state());
  }

  torch::Tensor output() const {
    at::set_num_threads(1);
    const torch::NoGradGuard no_grad;
    return network->predict(
        inputs.at("x"), inputs.at("timestep") / 1000,
        {inputs.at("tokens"),
         inputs.contains("pooled") ? inputs.at("pooled") : torch::Tensor()});
  }

  /** With the LoRA of a file as a fine-tune begins with it. */
  torch::Tensor output_from(const std::string& path) const {
    const auto file =
        load_lora_start(path, network->part(), state_dict(*network));
    LoraAdapter adapter(*network, file.config, 1);
    adapter.load_state(file.tensors);
    return output();
  }

  void save(const std::string& folder) const {
    const std::string part = folder + "/" + network->part();
    fs::create_directories(part);
    write_json_atomic(part + "/config.json", network->config_json());
    write_safetensors(part + "/diffusion_pytorch_model.safetensors",
                      state_dict(*network), {{"format", "pt"}});
    write_safetensors(folder + "/inputs.safetensors", inputs);
  }
};

Case unet_case() {
  return {random_unet().ptr(),
          kUnetLoraTargets,
          {{"x", test_normal(1, {2, 3, 8, 8})},
           {"tokens", test_normal(2, {2, 5, 10})}}};
}

/** Those that a UNet's files may have besides: kernels of 1 and 3, one of which
 * halves and one of which stands before twice the pixels. */
Case convolutions_case() {
  const auto plain = unet_case();
  return {plain.network,
          {"to_q", "proj_in", "proj_out", "conv1", "conv_shortcut",
           "downsamplers.0.conv", "upsamplers.0.conv", "conv_in"},
          plain.inputs};
}

Case sd3_case() { return {random_sd3().ptr(), kSd3LoraTargets, sd3_inputs()}; }

/** Fails unless files of these forms give diffusers' output. */
void expect_diffusers_output(const Case& own,
                             const std::map<std::string, StateDict>& files) {
  const TemporaryFolder folder;
  own.save(folder.path());
  fs::create_directories(folder / "styles");
  for (const auto& [form, tensors] : files) {
    write_safetensors(folder / ("styles/" + form + ".safetensors"), tensors);
  }
  run_python("lora_peer.py", "styles " + folder.path());
  if (testing::Test::HasFailure()) return;
  const auto peer = read_safetensors(folder / "outputs.safetensors").tensors;
  EXPECT_LT(relative(own.output(), peer.at("none")), kFloatTolerance);
  for (const auto& [form, tensors] : files) {
    EXPECT_GT(relative(peer.at(form), peer.at("none")), 0.01) << form;
    EXPECT_LT(
        relative(own.output_from(folder / ("styles/" + form + ".safetensors")),
                 peer.at(form)),
        kFloatTolerance)
        << form;
  }
}

/** Under the names of some forms, as readers without a config take them. */
std::map<std::string, StateDict> files_of(
    const Case& own, const std::vector<std::string>& forms) {
  std::map<std::string, StateDict> files;
  for (const auto& naming : lora_namings(own.network->part())) {
    if (std::find(forms.begin(), forms.end(), naming.form) != forms.end()) {
      files[naming.form] = naming.of(own.lora, own.config.scale());
    }
  }
  EXPECT_EQ(files.size(), forms.size());
  return files;
}

TEST(LoraStart, OfOlderStylesIsDiffusersUnet) {
  const auto own = unet_case();
  auto files = files_of(own, {"bare", "part", "diffusers", "processor",
                              "bare_processor", "kohya"});
  // One for all: diffusers 0.42 loses those that differ by layer, and warns.
  files["alpha"] = kohyas_with_alpha(own.lora, own.config.alpha);
  expect_diffusers_output(own, files);
}

TEST(LoraStart, OfOlderStylesIsDiffusersTransformer) {
  const auto own = sd3_case();
  expect_diffusers_output(own, files_of(own, {"bare", "part", "diffusers"}));
}

TEST(LoraStart, OfConvolutionsIsDiffusersAndIsExported) {
  const auto own = convolutions_case();
  auto files = files_of(own, {"part", "diffusers", "kohya"});
  files["alpha"] = kohyas_with_alpha(own.lora, own.config.alpha);
  expect_diffusers_output(own, files);
  // What a fine-tune went on with comes out as it went in.
  const TemporaryFolder folder;
  own.save(folder.path());
  const auto& network = *own.network;
  write_safetensors(folder / "kohya.safetensors", files.at("alpha"));
  const auto start = load_lora_start(folder / "kohya.safetensors", "unet",
                                     state_dict(network));
  EXPECT_EQ(start.tensors.size(), own.lora.size());
  for (const auto& [name, tensor] : own.lora) {
    EXPECT_TRUE(start.tensors.at(name).equal(tensor)) << name;
  }
  save_peft_adapter(folder / "lora", start.config, start.tensors);
  save_diffusers_lora(folder / "lora", start.config, start.tensors, "unet");
  run_python("lora_peer.py", "velocities " + folder.path());
  if (HasFailure()) return;
  const auto trained = own.output_from(folder / "kohya.safetensors");
  const auto found =
      read_safetensors(folder / "velocities.safetensors").tensors;
  for (const char* reader : {"peft", "diffusers", "pipeline"}) {
    EXPECT_LT(relative(found.at(reader), trained), kFloatTolerance) << reader;
  }
  for (const std::string file :
       {"adapter_model.safetensors", "pytorch_lora_weights.safetensors"}) {
    EXPECT_TRUE(own.output_from(folder / ("lora/" + file)).equal(trained));
  }
}

/** Those that diffusers does not read are what those are that it does. */
TEST(LoraStart, UnderAllNamesIsTheSameOutput) {
  const TemporaryFolder folder;
  for (const auto& own : {unet_case(), sd3_case()}) {
    const auto part = own.network->part();
    save_peft_adapter(folder / (part + "/peft"), own.config, own.lora);
    save_diffusers_lora(folder / (part + "/diffusers"), own.config, own.lora,
                        part);
    const auto expected = own.output_from(folder / (part + "/peft"));
    EXPECT_GT(relative(own.output(), expected), 0.01);
    for (const std::string place :
         {"diffusers", "peft/adapter_model.safetensors"}) {
      EXPECT_TRUE(
          own.output_from(folder / (part + "/" + place)).equal(expected))
          << place;
    }
    for (const auto& naming : lora_namings(part)) {
      const auto file = folder / (part + "/" + naming.form + ".safetensors");
      write_safetensors(file, naming.of(own.lora, own.config.scale()));
      EXPECT_LT(relative(own.output_from(file), expected), kFloatTolerance)
          << part << ", " << naming.form;
    }
  }
}

TEST(LoraStart, AdaptsJustTheLayersOfTheFile) {
  const auto own = sd3_case();
  const auto weights = state_dict(*own.network);
  const TemporaryFolder folder;
  auto some = own.lora;
  for (const char* half : {"A", "B"}) {
    some.erase(cat("transformer_blocks.0.attn.to_q.lora_", half, ".weight"));
  }
  save_peft_adapter(folder / "some", own.config, some);
  const auto file = load_lora_start(folder / "some", "transformer", weights);
  EXPECT_EQ(file.config.targets.size(), some.size() / 2);
  EXPECT_EQ(adapted_layers(file.config, weights), file.config.targets);
  // Its own words where they say the same.
  save_peft_adapter(folder / "all", own.config, own.lora);
  EXPECT_EQ(
      load_lora_start(folder / "all", "transformer", weights).config.targets,
      own.config.targets);
}

TEST(LoraStart, OfAnotherModelIsRefusedByFileAndLayer) {
  const auto own = unet_case();
  const auto weights = state_dict(*own.network);
  const TemporaryFolder folder;
  const std::string path = folder / "x.safetensors";
  const auto error = [&](const std::string& layer, int64_t out, int64_t in) {
    write_safetensors(
        path, {{"unet." + layer + ".lora_A.weight", at::ones({2, in})},
               {"unet." + layer + ".lora_B.weight", at::ones({out, 2})}});
    return error_of([&] { load_lora_start(path, "unet", weights); });
  };
  const std::string block = "mid_block.attentions.0.";
  const std::string q = block + "transformer_blocks.0.attn1.to_q";
  expect_parts(error(q, 7, 30), {path, q, "[7, 30]"});
  expect_parts(error(block + "proj_in", 32, 16),
               {path, block + "proj_in", "[32, 16]", "[32, 32, 1, 1]"});
  const std::string conv = "mid_block.resnets.0.conv1";
  expect_parts(error(conv, 32, 32),
               {path, conv, "[32, 32]", "[32, 32, 3, 3]", "this model"});
  expect_parts(error("no_block.to_q", 2, 2), {path, "no_block.to_q"});
}

}  // namespace
}  // namespace rsm
