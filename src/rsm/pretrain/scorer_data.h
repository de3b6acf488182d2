#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "rsm/worlds/shapes_scorer.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {

/** Pictures of the shapes world, and what they were drawn for. */
struct ShapesPictures {
  torch::Tensor images;      ///< [B,3,32,32] float32 in [-1,1]
  std::vector<int64_t> own;  ///< [B] indices into shapes::all_specs()
};

/** Captions about each picture that a scorer learns from. */
inline constexpr int64_t kCaptionsEach = 4;

/** Pictures with captions that the exact checker has judged. */
struct JudgedPictures {
  torch::Tensor images;    ///< [B,3,32,32] float32 in [0,1]
  torch::Tensor captions;  ///< [B,K] int64, indices into shapes::all_specs()
  torch::Tensor labels;    ///< [B,K] float32: 1 where shapes::check is strict
  /** [B,5,8,8] float32, of each cell: 1 where the middle of something found
   * lies there; its shape; its colour (the last: none); x and y of the middle
   * from that of the cell, in cells. */
  torch::Tensor objects = {};
};

/** Asks about each picture: its own caption, one that is true of it where
 * there is one, what a careless captioner would have made of that
 * (shapes::corrupt), and by turns another such one or any other; K =
 * kCaptionsEach. All but its own are of `split`. What is asked about picture i
 * depends on it and on (seed, first + i). */
JudgedPictures judge(const ShapesPictures& pictures, uint64_t seed,
                     int64_t first, shapes::Split split);

/** Only their own captions, K = 1; without `objects`. */
JudgedPictures own_captions(const ShapesPictures& pictures);

/** Pictures first .. first + count - 1 of an endless set that the world draws
 * itself for captions of `split`, three in ten of them corrupted. */
ShapesPictures world_pictures(uint64_t seed, int64_t first, int64_t count,
                              shapes::Split split);

/** Renders with a caption of `split` each, K = 1, that is true of every other
 * one exactly. The others show a corrupted or another caption. */
JudgedPictures balanced_renders(uint64_t seed, int64_t count,
                                shapes::Split split);

}  // namespace rsm
