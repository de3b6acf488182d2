// Pictures that `rsm sample` and `rsm evaluate` draw.

#include <nlohmann/json.hpp>

#include "command_testing.h"
#include "rsm/io/image.h"
#include "rsm/io/png_text.h"

namespace rsm {
namespace {

using nlohmann::json;

/** The `rsm` text of a picture. */
json settings_in(const std::string& path) {
  for (const auto& [keyword, text] : read_png_texts(path)) {
    if (keyword == "rsm") return json::parse(text);
  }
  ADD_FAILURE() << path << " carries no settings";
  return {};
}

/** The command that draws what the settings say. */
std::string command_of(const json& s) {
  std::string prompts;
  for (const auto& prompt : s["prompts"]) {
    prompts += cat(" '", prompt.get<std::string>(), "'");
  }
  return cat("sample ", s["model"].get<std::string>(), prompts, " --negative '",
             s["negative_prompt"].get<std::string>(), "' --seed ", s["seed"],
             " --count ", s["count"], " --steps ", s["steps"], " --guidance ",
             s["guidance_scale"], " --size ", s["height"], "x", s["width"],
             " --type ", s["type"].get<std::string>(), " --tile ", s["tile"],
             " --text-type ", s["text_type"].get<std::string>(), " --vae-type ",
             s["vae_type"].get<std::string>(), " --t5-tokens ", s["t5_tokens"],
             s["t5"].get<bool>() ? "" : " --no-t5");
}

/** `rsm` with these arguments, which must go well. */
void run_well(const std::string& arguments) {
  const auto done = run(arguments + " > /dev/null");
  EXPECT_EQ(done.status, 0) << arguments << "\n" << done.said;
}

TEST(Sample, RecordedSettingsDrawTheSameFileAgain) {
  const TemporaryFolder folder;
  run_well(cat("sample ", kDiffusionModel,
               " 'a red circle' 'zwölf Äpfel 猫' --negative 'a blue square' "
               "--count 3 --seed 7 --steps 2 --guidance 3 --size 24x40 "
               "--tile 4 --zoom 2 --pictures ",
               folder / "each", " -o ", folder / "grid.png"));
  const auto grid = read_png(folder / "grid.png");
  EXPECT_EQ(grid.sizes(),
            at::IntArrayRef({3, 2 * (2 * 24 + 2) - 2, 3 * (2 * 40 + 2) - 2}));
  const auto all = settings_in(folder / "grid.png");
  EXPECT_EQ(all["prompts"], json({"a red circle", "zwölf Äpfel 猫"}));
  EXPECT_EQ(all["negative_prompt"], "a blue square");
  // The last picture of the second prompt, alone.
  const std::string one = folder / "each/prompt-2-seed-9.png";
  const auto settings = settings_in(one);
  EXPECT_EQ(settings["prompts"], json({"zwölf Äpfel 猫"}));
  EXPECT_EQ(settings["seed"], 9);
  EXPECT_EQ(settings["count"], 1);
  run_well(cat(command_of(settings), " --zoom 1 -o ", folder / "again.png"));
  EXPECT_EQ(read_file(folder / "again.png"), read_file(one));
  const auto place =
      grid.narrow(1, 2 * 24 + 2, 2 * 24).narrow(2, 2 * (2 * 40 + 2), 2 * 40);
  EXPECT_TRUE(
      torch::equal(place, image_grid(read_png(one).unsqueeze(0), 1, 0, 2)));
  run_well(cat(command_of(all), " --zoom 2 -o ", folder / "again.png"));
  EXPECT_EQ(read_file(folder / "again.png"), read_file(folder / "grid.png"));
}

TEST(Sample, WhatIsSaidChangesThePicture) {
  const TemporaryFolder folder;
  const auto draw = [&](const std::string& more) {
    run_well(cat("sample ", kFlowModel, " 'a red circle' --steps 2 -o ",
                 folder / "a.png ", more));
    return read_png(folder / "a.png");
  };
  const auto plain = draw("");
  EXPECT_TRUE(torch::equal(draw("--negative '' --size 32"), plain));
  EXPECT_FALSE(torch::equal(draw("--negative 'a blue square'"), plain));
  EXPECT_FALSE(torch::equal(draw("--seed 1"), plain));
  EXPECT_EQ(settings_in(folder / "a.png")["noise"], nullptr);
  EXPECT_FALSE(torch::equal(draw("--solver multistep"), plain));
}

TEST(Sample, NoiseOfASolverIsThatOfThePicturesSeed) {
  const TemporaryFolder folder;
  const std::string command = cat(
      "sample ", kFlowModel, " 'a red circle' --steps 3 --tile 2 --solver sa ");
  run_well(cat(command, "--seed 7 --count 2 --pictures ", folder / "both",
               " -o ", folder / "grid.png"));
  run_well(cat(command, "--seed 8 --pictures ", folder / "one", " -o ",
               folder / "grid.png"));
  EXPECT_EQ(read_file(folder / "one/prompt-1-seed-8.png"),
            read_file(folder / "both/prompt-1-seed-8.png"));
  EXPECT_EQ(settings_in(folder / "grid.png")["sampler"], "SA-Solver");
}

TEST(Sample, SizesAreRefusedByName) {
  for (const std::string size :
       {"0", "x", "32x", "x32", "32x32x32", "32X32", "-32", "16385", "32 "}) {
    const auto done = run(cat("sample no-model a --size '", size, "'"));
    EXPECT_EQ(done.status, 2) << size;
    expect_parts(done.said, {"[--size]", size, "HEIGHTxWIDTH", "512x768"});
  }
  for (const std::string command :
       {"sample models/shapes-flow a", "evaluate models/shapes-flow"}) {
    expect_parts(run(command + " --size 33x32").said,
                 {"latents of 33x32", "multiples"});
  }
}

TEST(Sample, NegativePromptsThatDoNothingAreRefused) {
  for (const std::string command : {"sample no-model a", "evaluate no-model"}) {
    const auto idle = run(command + " --negative grey --guidance 1");
    EXPECT_EQ(idle.status, 2) << command;
    expect_parts(idle.said, {"[--negative]", "\"grey\"", "no guidance"});
    const auto bytes = run(command + " --negative \"$(printf '\\377')\"");
    EXPECT_EQ(bytes.status, 2) << command;
    expect_parts(bytes.said, {"[--negative]", "UTF-8"});
  }
  const auto noise = run("sample no-model a --pictures x --noise y");
  EXPECT_EQ(noise.status, 2);
  expect_parts(noise.said, {"--pictures", "--noise"});
}

TEST(Evaluate, SizeAndNegativePromptCount) {
  const TemporaryFolder folder;
  const auto score = [&](const std::string& more) {
    const auto done = run(cat("evaluate ", kDiffusionModel,
                              " --reward jpeg-compressibility --images 2 "
                              "--steps 2 --json ",
                              more, " > ", folder / "a.json"));
    EXPECT_EQ(done.status, 0) << done.said;
    return read_json(folder / "a.json")["reward"].get<double>();
  };
  const double plain = score("--size 24x40");
  EXPECT_NE(score("--size 24x40 --negative 'a blue square'"), plain);
  EXPECT_NE(score("--size 40x24"), plain);
}

}  // namespace
}  // namespace rsm
