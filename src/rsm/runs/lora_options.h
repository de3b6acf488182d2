#pragma once

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** Reads `train.lora` into `options`, whose `lora` is known. What a LoRA to go
 * on from (`from`) has is the default of rank, alpha, targets and exclude;
 * other values than its are noted, as is a LoRA that does not fit the model.
 * `model` is a model folder; empty: none that could be read, so that `from` is
 * not looked into. */
void read_lora(const Config& section, const std::string& model,
               RunOptions& options);

/** Reads the LoRA that makes a consistency model of the model, where the method
 * takes gradients through one (GradientKnobs::Through::predictor); notes a
 * family that has none, and a LoRA that does not fit the model. */
void read_predictor(const Config& config, Family family, RunOptions& options);

}  // namespace rsm
