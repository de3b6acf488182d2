// Whole models of Stable Diffusion 1.5's and SD3's kind, saved by diffusers,
// paint what diffusers paints from the same noise.

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/testing.h"
#include "rsm/models/autoencoder_kl_config.h"
#include "rsm/models/guided_network.h"
#include "rsm/models/image_model.h"
#include "rsm/models/loading.h"
#include "rsm/models/lora_files.h"
#include "rsm/models/testing.h"
#include "rsm/models/unet_config.h"
#include "rsm/rollouts/sampler.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr double kPixel = 1e-3;
const char* const kSd3 = "stabilityai/stable-diffusion-3-medium-diffusers";

class Pipelines : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* assets = std::getenv("RSM_ASSETS");
    if (assets == nullptr || !fs::exists(cat(assets, "/configs/", kSd3))) {
      GTEST_SKIP() << "RSM_ASSETS names no folder with configs/" << kSd3;
    }
    run_python("pipelines_peer.py", cat("'", assets, "' '", work_.path(), "'"));
    peer_ = read_safetensors(work_ / "peer.safetensors").tensors;
    said_ = read_json(work_ / "said.json");
    prompts_ = said_.at("prompts").get<std::vector<std::string>>();
  }

  void run_peer(const std::string& what) const {
    run_python("pipelines_peer.py", cat("'", std::getenv("RSM_ASSETS"), "' '",
                                        work_.path(), "' ", what));
  }

  ImageModel load(const std::string& name, const ModelOptions& options = {}) {
    return ImageModel::load(work_ / name, options);
  }

  std::unique_ptr<GuidedNetwork> guided(const ImageModel& model) {
    return std::make_unique<GuidedNetwork>(
        model.network, model.text->encode({said_.at("negative")}),
        said_.at("guidance"), TileOptions{});
  }

  torch::Tensor pictures(const ImageModel& model, const std::string& noise) {
    const auto denoiser = guided(model);
    const auto latents =
        sample_ode(*denoiser, *model.path, times(model), peer_.at(noise),
                   model.text->encode(prompts_));
    return model.decoder->decode(latents);
  }

  std::vector<double> times(const ImageModel& model) {
    return model.path->times(said_.at("steps"));
  }

  /** The largest difference of pixels in [0,1]. */
  double gap(const torch::Tensor& pictures, const std::string& name) {
    return (pictures - peer_.at(name)).abs().max().item<double>();
  }

  TemporaryFolder work_;
  StateDict peer_;
  nlohmann::json said_;
  std::vector<std::string> prompts_;
};

TEST_F(Pipelines, PaintWhatDiffusersPaints) {
  EXPECT_LT(gap(pictures(load("sd15"), "sd15.x"), "sd15.ddim"), kPixel);
  EXPECT_LT(gap(pictures(load("sd3"), "sd3.x"), "sd3"), kPixel);
  // T5 shorter, and left out: by the folder, and by the options.
  ModelOptions options;
  options.text.t5_tokens = 40;
  EXPECT_LT(gap(pictures(load("sd3", options), "sd3.x"), "sd3.short"), kPixel);
  options.text = {};
  options.text.t5 = false;
  EXPECT_LT(gap(pictures(load("sd3", options), "sd3.x"), "sd3.alone"), kPixel);
  EXPECT_LT(gap(pictures(load("sd3-alone"), "sd3.x"), "sd3.alone"), kPixel);
  // These are other pictures, so the above can fail.
  EXPECT_GT(gap(peer_.at("sd3"), "sd3.alone"), 10 * kPixel);
  EXPECT_GT(gap(peer_.at("sd3"), "sd3.short"), 10 * kPixel);
  EXPECT_GT(gap(peer_.at("sd15.eta"), "sd15.ddim"), 10 * kPixel);
}

TEST_F(Pipelines, TakeTheStochasticStepsOfDiffusers) {
  const auto model = load("sd15");
  const auto denoiser = guided(model);
  const auto conditions = model.text->encode(prompts_);
  const auto grid = times(model);
  auto x = peer_.at("sd15.x");
  for (int64_t i = 0; i + 1 < std::ssize(grid); ++i) {
    const auto step =
        model.path->noisy_step(grid, i, {SamplerNoise::usual, 1.0});
    const auto y = denoiser->predict(
        x, at::full({x.size(0)}, step.t, at::kFloat), conditions);
    x = step.a_x * x + step.m_y * y + step.s * peer_.at("sd15.steps")[i];
  }
  EXPECT_LT(gap(model.decoder->decode(x), "sd15.eta"), kPixel);
}

TEST_F(Pipelines, AreReadHoweverTheirFilesLie) {
  const auto plain = pictures(load("sd15"), "sd15.x");
  ASSERT_TRUE(fs::exists(
      work_ /
      "sd15-sharded/unet/diffusion_pytorch_model.safetensors.index.json"));
  ASSERT_TRUE(fs::is_symlink(work_ / "sd15-linked/unet/config.json"));
  EXPECT_TRUE(pictures(load("sd15-sharded"), "sd15.x").equal(plain));
  EXPECT_TRUE(pictures(load("sd15-linked"), "sd15.x").equal(plain));
  EXPECT_LT(gap(pictures(load("sd15-fp16"), "sd15.x"), "sd15.fp16"), kPixel);
}

TEST_F(Pipelines, PaintTheSameWithALoraOfOurs) {
  std::map<std::string, torch::Tensor> ours;
  for (const std::string name : {"sd15", "sd3"}) {
    auto model = load(name);
    LoraConfig config = small_lora();
    config.targets = {"to_q", "to_k", "to_v", "to_out.0"};
    LoraAdapter adapter(*model.network, config, 1);
    randomise(adapter, 3);
    save_diffusers_lora(work_ / (name + "-lora"), config, adapter.state(),
                        model.network->part());
    ours[name] = pictures(model, name + ".x");
  }
  run_peer("lora");
  const auto theirs = read_safetensors(work_ / "lora.safetensors").tensors;
  for (const auto& [name, own] : ours) {
    EXPECT_LT((own - theirs.at(name)).abs().max().item<double>(), kPixel);
    const auto plain = name == "sd15" ? "sd15.ddim" : "sd3";
    EXPECT_GT(gap(own, plain), 10 * kPixel) << "the LoRA changes nothing";
  }
}

/** A safetensors file whose header says that a tensor is of float8. */
std::string in_eight_bits(std::string file) {
  const std::string tensor = "decoder.conv_in.bias", type = "\"F32\"";
  const std::string other = "\"F8_E4M3\"";
  file.replace(file.find(type, file.find(tensor)), type.size(), other);
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  length += other.size() - type.size();
  std::memcpy(file.data(), &length, sizeof(length));
  return file;
}

/** What loading says of a model while one of its files is another. */
class Broken {
 public:
  explicit Broken(const std::string& model) : model_(model) {}

  std::string error(const std::string& file, const std::string& text) const {
    const std::string path = model_ + "/" + file;
    const std::string kept = read_file(path);
    write_file_atomic(path, text);
    const auto out = said();
    write_file_atomic(path, kept);
    return out;
  }
  std::string with(const std::string& file,
                   const nlohmann::json& change) const {
    auto config = read_json(model_ + "/" + file);
    config.update(change);
    return error(file, config.dump());
  }
  std::string without(const std::string& file) const {
    const std::string path = model_ + "/" + file;
    fs::rename(path, path + ".kept");
    const auto out = said();
    fs::rename(path + ".kept", path);
    return out;
  }
  /** Of its weights, which are one file, some changed. */
  std::string of_tensors(const std::string& file,
                         const std::function<void(StateDict&)>& change) const {
    const std::string path = model_ + "/" + file;
    const std::string kept = read_file(path);
    auto tensors = read_safetensors(path).tensors;
    change(tensors);
    write_safetensors(path, tensors);
    const auto out = said();
    write_file_atomic(path, kept);
    return out;
  }

 private:
  std::string said() const {
    return error_of([&] { ImageModel::load(model_).text->encode({"a"}); });
  }

  std::string model_;
};

TEST_F(Pipelines, ThatAreBrokenSayWhichFileAndKey) {
  const Broken sd3(work_ / "sd3");
  const std::string index = "model_index.json";
  expect_parts(sd3.with(index, {{"tokenizer_3", {nullptr, nullptr}}}),
               {index, "text_encoder_3", "without tokenizer_3"});
  expect_parts(sd3.with(index, {{"text_encoder_3",
                                 {"transformers", "UMT5EncoderModel"}}}),
               {index, "text_encoder_3", "UMT5EncoderModel", "T5EncoderModel"});
  expect_parts(sd3.with(index, {{"_class_name", "StableDiffusionXLPipeline"}}),
               {index, "_class_name", "StableDiffusionXLPipeline"});
  expect_parts(sd3.with(index, {{"vae", {nullptr, nullptr}}}),
               {"transformer/config.json", "in_channels is 16", "no VAE"});
  expect_parts(sd3.with("vae/config.json", {{"latent_channels", 4}}),
               {"/vae", "decoder.conv_in.weight", "[24, 4, 3, 3]"});
  expect_parts(sd3.with("text_encoder_2/config.json", {{"hidden_size", 48}}),
               {"text_encoder_2", "48"});
  expect_parts(sd3.with("text_encoder_3/config.json", {{"d_model", 96}}),
               {"text_encoder_3", "96"});
  expect_parts(sd3.with("scheduler/scheduler_config.json",
                        {{"use_dynamic_shifting", true}}),
               {"scheduler_config.json", "use_dynamic_shifting"});
  expect_parts(sd3.without("tokenizer_3/tokenizer.json"), {"tokenizer_3"});
  expect_parts(sd3.without("vae/config.json"), {"vae/config.json"});
  const std::string vae = "vae/diffusion_pytorch_model.safetensors";
  expect_parts(sd3.without(vae), {"/vae", "no diffusion_pytorch_model"});
  expect_parts(sd3.error(vae, in_eight_bits(read_file(work_ / "sd3/" + vae))),
               {vae, "decoder.conv_in.bias", "F8_E4M3"});
  const std::string clip = "text_encoder/model.safetensors";
  expect_parts(sd3.of_tensors(clip,
                              [](StateDict& all) {
                                all["text_model.extra"] = at::zeros({2});
                              }),
               {"/text_encoder", "text_model.extra", "not part"});
  const Broken sharded(work_ / "sd15-sharded");
  for (const auto& entry :
       fs::directory_iterator(work_ / "sd15-sharded/unet")) {
    const auto name = entry.path().filename().string();
    if (name.find("-00002-of-") == std::string::npos) continue;
    const auto whole = read_file(entry.path().string());
    expect_parts(
        sharded.error("unet/" + name, whole.substr(0, whole.size() / 2)),
        {name});
    expect_parts(sharded.without("unet/" + name), {name});
  }
}

template <typename Config>
Config published(const std::string& part) {
  const std::string path = part + "/config.json";
  return Config::from_json(read_python_json(path), path);
}

TEST(PublishedFolders, AreReadButForTheWeightsTheyLack) {
  const char* assets = std::getenv("RSM_ASSETS");
  if (assets == nullptr || !fs::exists(cat(assets, "/configs/", kSd3))) {
    GTEST_SKIP() << "RSM_ASSETS names no folder with configs/" << kSd3;
  }
  const auto sd3 = cat(assets, "/configs/", kSd3, "/");
  const auto sd15 = cat(assets, "/configs/runwayml/stable-diffusion-v1-5/");
  EXPECT_EQ(open_model_folder(sd15).parts,
            (std::set<std::string>{"scheduler", "text_encoder", "tokenizer",
                                   "unet", "vae"}));
  EXPECT_EQ(open_model_folder(sd3).parts.size(), 9U);
  EXPECT_EQ(published<UnetConfig>(sd15 + "unet").cross_attention_dim, 768);
  EXPECT_EQ(published<Sd3Config>(sd3 + "transformer").inner_dim(), 1536);
  EXPECT_EQ(published<ClipTextConfig>(sd15 + "text_encoder").hidden_size, 768);
  EXPECT_EQ(published<ClipTextConfig>(sd3 + "text_encoder_2").projection_dim,
            1280);
  EXPECT_EQ(published<T5Config>(sd3 + "text_encoder_3").d_model, 4096);
  EXPECT_EQ(published<AutoencoderKlConfig>(sd15 + "vae").latent_channels, 4);
  EXPECT_EQ(published<AutoencoderKlConfig>(sd3 + "vae").latent_channels, 16);
  EXPECT_EQ(load_path(sd15)->family(), Family::diffusion);
  EXPECT_EQ(load_path(sd3)->family(), Family::flow);
  expect_parts(error_of([&] { check_model(sd3); }),
               {"/transformer", "no diffusion_pytorch_model"});
}

}  // namespace
}  // namespace rsm
