#include "rsm/io/picture_settings.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace rsm {
namespace {

PictureSettings example() {
  return {.program = "rsm 0.1.0",
          .model = "models/shapes-flow/",
          .lora = "runs/a/final",
          .prompts = {"zwölf Äpfel", "a \"blue\" square"},
          .negative_prompt = "blurry, grey",
          .seed = 18446744073709551615u,
          .count = 4,
          .noise = "",
          .steps = 28,
          .sampler = "Euler",
          .guidance_scale = 4.5,
          .height = 512,
          .width = 768,
          .type = "bfloat16",
          .tile = 16,
          .text_type = "float32",
          .vae_type = "float16",
          .t5 = false,
          .t5_tokens = 128};
}

TEST(PictureSettings, ParametersAreThoseOfWebInterfaces) {
  auto settings = example();
  EXPECT_EQ(to_png_texts(settings)[0],
            (PngTexts::value_type{
                "parameters",
                "zwölf Äpfel\nNegative prompt: blurry, grey\n"
                "Steps: 28, Sampler: Euler, CFG scale: 4.5, Seed: "
                "18446744073709551615, Size: 768x512, Model: shapes-flow, "
                "Lora: final, Version: rsm 0.1.0"}));
  settings.negative_prompt = settings.lora = "";
  settings.noise = "x.safetensors";
  settings.model = "sd 1.5, mine";
  EXPECT_EQ(to_png_texts(settings)[0].second,
            "zwölf Äpfel\nSteps: 28, Sampler: Euler, CFG scale: 4.5, "
            "Size: 768x512, Model: \"sd 1.5, mine\", Version: rsm 0.1.0");
}

TEST(PictureSettings, PathsThatAreNoTextAreShownAsText) {
  auto settings = example();
  settings.model = "models/caf\xe9";
  for (const auto& [keyword, text] : to_png_texts(settings)) {
    EXPECT_NE(text.find("caf\uFFFD"), std::string::npos) << text;
  }
}

TEST(PictureSettings, JsonHasThemAllInTheirOrder) {
  const auto text = to_png_texts(example())[1];
  EXPECT_EQ(text.first, "rsm");
  EXPECT_EQ(text.second,
            "{\"program\":\"rsm 0.1.0\",\"model\":\"models/shapes-flow/\","
            "\"lora\":\"runs/a/final\",\"prompts\":[\"zwölf Äpfel\","
            "\"a \\\"blue\\\" square\"],\"negative_prompt\":\"blurry, grey\","
            "\"seed\":18446744073709551615,\"count\":4,\"noise\":null,"
            "\"steps\":28,\"sampler\":\"Euler\",\"guidance_scale\":4.5,"
            "\"height\":512,\"width\":768,\"type\":\"bfloat16\",\"tile\":16,"
            "\"text_type\":\"float32\",\"vae_type\":\"float16\","
            "\"t5\":false,\"t5_tokens\":128}");
  EXPECT_EQ(nlohmann::json::parse(text.second)["seed"].get<uint64_t>(),
            example().seed);
}

}  // namespace
}  // namespace rsm
