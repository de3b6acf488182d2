#pragma once

#include <string>

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

namespace rsm {

/** "24GB" -> 24e9, "22GiB" -> 22 * 2^30; also MB, MiB, TB, TiB. Throws
 * UsageError for another text, and for nothing. */
double memory_size(const std::string& text);

/** Reads `memory` of the section compute, and of what is chosen for it what
 * stands there; without a target all of it, defaults included. */
void read_memory_keys(const Config& compute, RunOptions& options);

/** Chooses rollout_tile, train_tile and activation_checkpointing, as far as
 * the config does not say them, so that what is counted of the run
 * (runs/memory_forecast.h) leaves 15 % of options.memory free, and asks the
 * section for them. Fast before small: without checkpoints before with, then
 * large training tiles, then large rollout tiles; none above the defaults. A
 * run folder that began with the same target keeps what was chosen then.
 * Nothing is counted where all three are said, as in a resolved config.
 * Throws one UsageError where nothing fits: what is needed, and which keys
 * lower it. */
void choose_for_memory(const Config& compute, RunOptions& options);

}  // namespace rsm
