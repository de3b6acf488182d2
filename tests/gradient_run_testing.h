#pragma once

#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/method.h"
#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

/** What tests of runs along a gradient share. */
namespace rsm {

/** A run of seconds on a shipped model. Pictures are to be colourful: gradients
 * have a norm of about 0.02. `method` is the section of that name. */
inline RunOptions gradient_run(const std::string& folder, Family family,
                               const std::string& method,
                               const std::vector<std::string>& overrides) {
  return read_run_options(Config::parse(
      cat("name: test\nfolder: ", folder, "\nmodel: models/shapes-",
          family == Family::flow ? "flow" : "diffusion",
          "\nreward: colourfulness\nmethod: ", method, "\n",
          R"(prompts: {per_epoch: 4, samples_per_prompt: 2}
sampling: {steps: 4, guidance_scale: 1, size: 16}
train:
  epochs: 6
  weights: full
  lr: 0.001
  updates_per_epoch: 1
  ema_decay: 0
evaluation: {images: 6, steps: 4, every: 100}
checkpoint: {every: 100}
compute: {rollout_tile: 8, train_tile: 8, threads: 2}
)"),
      "test.yaml", overrides));
}

}  // namespace rsm
