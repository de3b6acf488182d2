#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/io/png_text.h"

namespace rsm {

/** What pictures were drawn with: prompts as rows, `count` pictures each, of
 * the seeds seed, seed + 1, ... in every row. */
struct PictureSettings {
  std::string program;               ///< name and version
  std::string model;                 ///< its folder
  std::string lora;                  ///< folder or file; empty: none
  std::vector<std::string> prompts;  ///< at least one
  std::string negative_prompt;
  uint64_t seed = 0;
  int64_t count = 1;
  std::string noise;  ///< file of the initial noise, for seeds; empty: none
  int64_t steps = 0;
  std::string sampler;  ///< "Euler", "DDIM", "SA-Solver", ...
  double guidance_scale = 1;
  int64_t height = 0, width = 0;    ///< of one picture in pixels
  std::string type;                 ///< the network's precision
  int64_t tile = 0;                 ///< rows of a network call
  std::string text_type, vae_type;  ///< of the parts before and behind it
  bool t5 = true;                   ///< whether SD3's T5 was asked
  int64_t t5_tokens = 0;
};

/** The settings as a PNG file carries them, two texts:
 * `parameters`, of the first picture, for people and as common web interfaces
 * write and read it:
 *
 *     PROMPT
 *     Negative prompt: TEXT                                  (if there is one)
 *     Steps: N, Sampler: NAME, CFG scale: X, Seed: N, Size: WIDTHxHEIGHT,
 *     Model: NAME, Lora: NAME, Version: PROGRAM                 (in one line)
 *
 * `rsm`, all of them, a JSON object with the keys program, model, lora (null:
 * none), prompts (a list), negative_prompt, seed, count, noise (null: none),
 * steps, sampler, guidance_scale, height, width, type, tile, text_type,
 * vae_type, t5, t5_tokens, in this order. */
PngTexts to_png_texts(const PictureSettings& settings);

}  // namespace rsm
