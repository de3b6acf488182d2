#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/base/progress.h"
#include "rsm/pretrain/scorer_data.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {

/** Which pictures a model is asked for. */
struct SampleRequest {
  std::string model;  ///< a folder; it paints 32 x 32 pixels
  shapes::Split split = shapes::Split::train;
  double guidance = 2;
  int64_t pictures = 0;
  uint64_t seed = 0;
};

/** Pictures that a model drew, as bytes. */
struct ModelSamples {
  torch::Tensor pictures;    ///< [N,3,32,32] uint8
  std::vector<int64_t> own;  ///< [N] indices into shapes::all_specs()

  int64_t size() const { return static_cast<int64_t>(own.size()); }
  /** Some of them, [n,3,32,32] float32 in [-1,1]; all. */
  torch::Tensor floats(const std::vector<int64_t>& chosen) const;
  ShapesPictures all() const;
};

/** In ten steps of the ODE, equally many of each category of captions. They
 * are kept in `file`, and read from there where it has those of the same
 * requests. Throws rsm::Error for a model that draws pictures of another size,
 * and Interrupted. */
ModelSamples draw_samples(const std::vector<SampleRequest>& requests,
                          const std::string& file, Progress& progress);

}  // namespace rsm
