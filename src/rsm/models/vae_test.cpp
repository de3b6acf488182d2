#include "rsm/models/vae.h"

#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "rsm/base/testing.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/models/autoencoder_testing.h"
#include "rsm/models/mutation_testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Ways = AutoencoderModule::Ways;

constexpr const char* kFile = "/diffusion_pytorch_model.safetensors";

torch::Tensor test_latents(int64_t count, int64_t height = 6,
                           int64_t width = 5) {
  return test_normal(11, {count, 4, height, width});
}

/** What decode() is by its words. */
torch::Tensor by_hand(const Autoencoder& autoencoder, const torch::Tensor& z) {
  const torch::NoGradGuard no_grad;
  const auto space = autoencoder->space();
  const auto y =
      autoencoder->decode(z / space.scaling_factor + space.shift_factor);
  return ((y + 1) / 2).clamp(0, 1);
}

class VaeOn : public OnDevice {};
RSM_ON_EVERY_DEVICE(VaeOn);

TEST_P(VaeOn, DecodesWhatTheFolderHolds) {
  at::set_num_threads(1);
  for (const auto& autoencoder : {random_kl(), random_tiny()}) {
    const TemporaryFolder folder;
    save_autoencoder(folder.path(), *autoencoder);
    const auto vae = Vae::load(folder.path())->to(device(), at::kFloat);
    EXPECT_EQ(vae->latent_channels(), 4);
    EXPECT_EQ(vae->scale(), 2);
    const auto z = test_latents(3);
    const auto pictures = vae->decode(z);
    EXPECT_EQ(pictures.sizes().vec(), (std::vector<int64_t>{3, 3, 12, 10}));
    EXPECT_TRUE(pictures.is_cpu() && pictures.is_contiguous());
    EXPECT_EQ(pictures.scalar_type(), at::kFloat);
    EXPECT_LT(relative(pictures, by_hand(autoencoder, z)),
              device().is_cpu() ? kFloatTolerance : 1e-2);
    EXPECT_GE(pictures.min().item<double>(), 0);
    EXPECT_LE(pictures.max().item<double>(), 1);
    EXPECT_FALSE(vae->pictures(z).requires_grad());
  }
}

TEST_P(VaeOn, RowsDoNotDependOnOthers) {
  at::set_num_threads(1);
  for (const auto& autoencoder : {random_kl(), random_tiny()}) {
    for (const int64_t slice : {1, 3}) {
      const auto vae =
          Vae(autoencoder).with_limits({slice, 0, 1})->to(device(), at::kFloat);
      const auto z = test_latents(5);
      const auto all = vae->decode(z);
      EXPECT_TRUE(vae->with_limits({slice, 0, 2})->decode(z).equal(all));
      auto other = z.clone();
      other.slice(0, 1).add_(1);
      EXPECT_TRUE(vae->decode(other)[0].equal(all[0]));
      EXPECT_FALSE(vae->decode(other)[1].equal(all[1]));
      EXPECT_TRUE(vae->decode(z.narrow(0, 0, 1))[0].equal(all[0]));
      EXPECT_TRUE(vae->decode(z.narrow(0, 3, 1))[0].equal(all[3]));
    }
  }
}

TEST_P(VaeOn, CarriesGradients) {
  const auto autoencoder = random_kl();
  const auto vae = Vae(autoencoder).to(device(), at::kFloat);
  const auto z = test_latents(2).requires_grad_(true);
  const auto y = vae->pictures(z);
  EXPECT_EQ(y.device().type(), device().type());
  EXPECT_LT(y.min().item<double>(), 0);  // not clamped
  const auto weight = test_normal(12, y.sizes());
  const auto found =
      torch::autograd::grad({(y.to(at::kCPU) * weight).sum()}, {z})[0];
  const auto space = autoencoder->space();
  const auto plain =
      autoencoder->decode(z / space.scaling_factor + space.shift_factor);
  const auto wanted =
      torch::autograd::grad({((plain + 1) / 2 * weight).sum()}, {z})[0];
  EXPECT_LT(relative(found, wanted),
            device().is_cpu() ? kFloatTolerance : 1e-2);
  EXPECT_FALSE(vae->decode(z).requires_grad());
}

TEST(Vae, DecodesInTilesAboveItsLimit) {
  at::set_num_threads(1);
  const auto autoencoder = random_kl();
  const torch::NoGradGuard no_grad;
  const auto z = test_latents(2, 13, 8);
  const auto space = autoencoder->space();
  const auto tiled = (autoencoder->decode_tiled(z / space.scaling_factor +
                                                space.shift_factor) +
                      1) /
                     2;
  const auto with = [&](int64_t above) {
    return Vae(autoencoder).with_limits({1, above})->decode(z);
  };
  EXPECT_LT(relative(with(12), tiled.clamp(0, 1)), kFloatTolerance);
  EXPECT_GT(relative(with(12), by_hand(autoencoder, z)), 1e-3);
  for (const int64_t above : {0, 13}) {
    EXPECT_LT(relative(with(above), by_hand(autoencoder, z)), kFloatTolerance);
  }
  expect_parts(error_of([&] {
                 Vae(autoencoder).with_limits({0, 0});
               }),
               {"slices of 0"});
}

TEST(Vae, ComputesInTheTypeAskedForUnlessThatOverflows) {
  const auto kl = random_kl();
  const Vae vae(kl);
  EXPECT_EQ(vae.type(), at::kFloat);
  EXPECT_EQ(vae.to(at::kCPU, at::kHalf)->type(), at::kFloat);
  EXPECT_EQ(Vae(random_tiny()).to(at::kCPU, at::kHalf)->type(), at::kHalf);
  auto config = small_kl_config();
  config.force_upcast = false;
  const Vae other(std::make_shared<AutoencoderKlImpl>(config));
  EXPECT_EQ(other.to(at::kCPU, at::kHalf)->type(), at::kHalf);
  const auto brain = vae.to(at::kCPU, at::kBFloat16);
  EXPECT_EQ(brain->type(), at::kBFloat16);
  const auto z = test_latents(1);
  const auto y = brain->decode(z);
  EXPECT_EQ(y.scalar_type(), at::kFloat);
  // A few roundings to 8 bits in each of a dozen layers.
  EXPECT_LT(relative(y, vae.decode(z)), 0.05);
  EXPECT_FALSE(y.equal(vae.decode(z)));
}

TEST(Vae, ReadsHalvesUnderTheirVariantsName) {
  const TemporaryFolder folder;
  const auto autoencoder = random_kl();
  save_autoencoder(folder.path(), *autoencoder);
  fs::remove(folder.path() + kFile);
  write_safetensors(folder / "diffusion_pytorch_model.fp16.safetensors",
                    converted(state_dict(*autoencoder), at::kHalf));
  const auto vae = Vae::load(folder.path());
  EXPECT_EQ(vae->type(), at::kFloat);
  const auto z = test_latents(1);
  EXPECT_LT(relative(vae->decode(z), by_hand(autoencoder, z)), 1e-2);
}

/** A folder of random_kl()'s after `change`; the error of loading it, which is
 * that of checking it. */
std::string error_after(
    const std::function<void(const std::string& folder)>& change) {
  const TemporaryFolder folder;
  save_autoencoder(folder.path(), *random_kl());
  check_vae(folder.path());
  change(folder.path());
  const auto text = error_of([&] { Vae::load(folder.path()); });
  EXPECT_EQ(error_of([&] { check_vae(folder.path()); }), text);
  expect_parts(text, {folder.path()});
  return text;
}

std::string error_with_config(const json& change) {
  return error_after([&](const std::string& folder) {
    json config = read_json(folder + "/config.json");
    config.update(change);
    write_json_atomic(folder + "/config.json", config);
  });
}

std::string error_with_weights(const std::function<void(StateDict&)>& change) {
  return error_after([&](const std::string& folder) {
    auto weights = copied(read_safetensors(folder + kFile).tensors);
    change(weights);
    write_safetensors(folder + kFile, weights);
  });
}

TEST(Vae, SaysWhatIsWrongWithItsConfig) {
  expect_parts(error_after([](const std::string& folder) {
                 fs::remove(folder + "/config.json");
               }),
               {"config.json"});
  expect_parts(error_with_config({{"_class_name", "VQModel"}}),
               {"_class_name", "VQModel", "AutoencoderKL", "AutoencoderTiny"});
  expect_parts(error_with_config({{"_class_name", 3}}), {"_class_name"});
  expect_parts(error_with_config({{"_class_name", "AutoencoderTiny"}}),
               {"config.json", "unknown \"down_block_types\""});
  // In range, yet gigabytes: the tensors that lie there say no.
  expect_parts(error_with_config({{"layers_per_block", 64}}),
               {"resnets.6", "missing"});
  expect_parts(error_with_config({{"latent_channels", 65536}}),
               {"decoder.conv_in.weight", "has shape", "65536"});
  expect_parts(error_with_config({{"block_out_channels", {65536, 65536}}}),
               {"has shape", "65536"});
}

TEST(Vae, SaysWhatIsWrongWithItsWeights) {
  const std::string bias = "decoder.mid_block.resnets.0.conv1.bias";
  expect_parts(error_with_weights([&](auto& all) { all.erase(bias); }),
               {bias, "missing"});
  expect_parts(
      error_with_weights([&](auto& all) { all[bias] = at::zeros({3}); }),
      {bias, "has shape [3]", "[16]"});
  expect_parts(error_with_weights([&](auto& all) {
                 all["decoder.conv_in.bia"] = at::zeros({3});
               }),
               {"\"decoder.conv_in.bia\" is not part",
                "did it mean \"decoder.conv_in.bias\""});
  // Of the encoder too, which is not loaded.
  expect_parts(error_with_weights([&](auto& all) {
                 all["encoder.conv_out.bias"] = at::zeros({3});
               }),
               {"encoder.conv_out.bias", "has shape [3]"});
  expect_parts(error_with_weights(
                   [&](auto& all) { all["quant_conv.more"] = at::zeros({3}); }),
               {"quant_conv.more"});
}

TEST(Vae, SaysWhatIsWrongWithItsFiles) {
  expect_parts(error_after([](const std::string& folder) {
                 fs::rename(folder + kFile,
                            folder + "/diffusion_pytorch_model.bin");
               }),
               {".bin", "safe_serialization=True"});
  expect_parts(error_after([](const std::string& folder) {
                 fs::resize_file(folder + kFile,
                                 fs::file_size(folder + kFile) - 40);
               }),
               {kFile, "truncated"});
  expect_parts(error_after([](const std::string& folder) {
                 auto text = read_file(folder + kFile);
                 const size_t at = text.find("\"F32\"");
                 text.replace(at, 5, "\"F8_E4M3\"");
                 const uint64_t length = text.find("}}", 8) + 2 - 8;
                 text.replace(0, 8, reinterpret_cast<const char*>(&length), 8);
                 write_file_atomic(folder + kFile, text);
               }),
               {kFile, "F8_E4M3", "dtype"});
  expect_parts(error_after([](const std::string& folder) {
                 fs::remove(folder + kFile);
                 fs::create_symlink("nowhere", folder + kFile);
               }),
               {"nowhere", "download"});
}

TEST(Vae, IsReadOrRefusedWhateverItsConfigSays) {
  std::mt19937_64 random(5);
  for (const auto& autoencoder : {random_kl(), random_tiny()}) {
    const TemporaryFolder folder;
    save_autoencoder(folder.path(), *autoencoder);
    const std::string path = folder / "config.json";
    const std::string kept = read_file(path);
    for (int i = 0; i < 150; ++i) {
      const auto text = mutated(kept, random);
      write_file_atomic(path, text);
      expect_error_or_none([&] { Vae::load(folder.path()); }, text);
    }
    write_file_atomic(path, kept);
    EXPECT_NO_THROW(Vae::load(folder.path()));
  }
}

}  // namespace
}  // namespace rsm
