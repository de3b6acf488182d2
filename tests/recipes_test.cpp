// What the help and the docs tell users to type.

#include <gtest/gtest.h>

#include <filesystem>

#include "rsm/base/random.h"
#include "rsm/io/safetensors.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

/** A run as short as can be. */
void make_run(const std::string& folder, const std::string& name,
              const std::string& label, const std::string& weights) {
  run_to_end(read_run_options(
      Config::parse(R"(model: models/shapes-flow
method: {name: tempflow-grpo, estimator: {branches: [3, 0, 0]}}
prompts: {per_epoch: 4}
sampling: {steps: 4, guidance_scale: 1}
train: {epochs: 1, lr: 0.0001, lora: {rank: 2, alpha: 4}}
evaluation: {images: 6, steps: 2}
compute: {threads: 2}
)",
                    "recipe.yaml",
                    {"name=" + name, "folder=" + folder, "label=" + label,
                     "train.weights=" + weights})));
}

TEST(Recipes, AllThatArePrintedRun) {
  const TemporaryFolder shop;
  fs::create_directories(shop / "runs");
  // Of the recipes: a demo, a LoRA, and two settings to compare.
  make_run(shop / "runs/demo", "demo", "demo", "full");
  make_run(shop / "runs/mine", "mine", "ratio form", "lora");
  for (const std::string copy : {"my-lora", "a", "sweep/a", "headline/a"}) {
    fs::create_directories(fs::path(shop / ("runs/" + copy)).parent_path());
    fs::copy(shop / "runs/mine", shop / ("runs/" + copy),
             fs::copy_options::recursive);
  }
  for (const std::string copy : {"b", "sweep/b", "headline/b"}) {
    fs::copy(shop / "runs/demo", shop / ("runs/" + copy),
             fs::copy_options::recursive);
  }
  write_safetensors(shop / "x.safetensors",
                    {{"latents", counted_normal(1, {1, 3, 32, 32})}});
  run_python("recipes_peer.py",
             cat(RSM_SOURCE_DIR, " ", RSM_BINARY_DIR, "/rsm ", shop.path()));
}

}  // namespace
}  // namespace rsm
