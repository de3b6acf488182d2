#pragma once

#include <string>
#include <vector>

#include "rsm/base/testing.h"
#include "rsm/io/config.h"
#include "rsm/io/files.h"
#include "rsm/io/testing.h"
#include "rsm/train/testing.h"

/** A whole run on the shipped model, with small numbers. */
namespace rsm {

inline std::string config_text(const std::string& folder) {
  return "name: test\n"
         "folder: " +
         folder + "\n" +
         R"(model: models/shapes-flow
method:
  name: tempflow-grpo
  estimator:
    branches: [3, 0, 3, 0, 2, 0, 0, 0, 0]
prompts:
  per_epoch: 3
sampling:
  guidance_scale: 2
train:
  epochs: 3
  lora:
    rank: 4
    alpha: 8
  lr: 0.001
evaluation:
  images: 12
  steps: 4
  every: 2
checkpoint:
  every: 1
compute:
  rollout_tile: 4
  train_tile: 4
  threads: 2
)";
}

/** The same with small pictures, too small for the shapes world. */
inline RunOptions options_of(const std::string& folder,
                             const std::vector<std::string>& overrides = {}) {
  std::vector<std::string> all = {"reward=colourfulness", "sampling.size=16"};
  all.insert(all.end(), overrides.begin(), overrides.end());
  return read_run_options(Config::parse(config_text(folder), "test.yaml", all));
}

/** Runs on each device, by options_of and config_of of their own. */
class FinetuneOn : public OnDevice {
 protected:
  RunOptions options_of(const std::string& folder,
                        const std::vector<std::string>& overrides = {}) const {
    return rsm::options_of(folder, on_device(overrides));
  }
  /** For the program: the config of a run there. */
  std::string config_of(const std::string& folder) const {
    auto text = config_text(folder);
    const std::string threads = "  threads: 2\n";
    const auto at = text.find(threads);
    if (!device().is_cpu()) text.erase(at, threads.size());
    return text.insert(at, "  device: " + GetParam() + "\n");
  }
  /** The first ratio was 1; a GPU may be a tenth of the clip range off, beyond
   * which run_epoch throws. */
  void expect_no_gap(const nlohmann::json& line) const {
    if (repeats_its_bits()) {
      EXPECT_EQ(line.at("first_gap"), 0);
    }
  }
  void expect_same_weights(const std::string& a, const std::string& b) const {
    rsm::expect_same_weights(a, b, repeats_its_bits());
  }
};

}  // namespace rsm
