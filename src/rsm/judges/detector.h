#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rsm/judges/geneval_rules.h"

namespace rsm::geneval {

/** What a detector saw in a picture, in its own order. */
struct Seen {
  std::vector<Detection> objects;
  torch::Tensor masks;  ///< [n,H,W] bool on the CPU; undefined where none came
};

/** Tells what stands where in pictures. Threads may share one. */
class Detector {
 public:
  virtual ~Detector() = default;

  /** images [B,3,H,W] float32 in [0,1], on any device: what is in each,
   * whatever the others are. Throws rsm::Error where the detector fails or
   * gives other shapes, types, classes or NaN. */
  virtual std::vector<Seen> see(const torch::Tensor& images) const = 0;

  /** Shows it a black picture and one of noise. */
  virtual void check() const = 0;
};

/** A detector exported to TorchScript, whose forward is
 *
 *     (images: Tensor) -> (boxes, scores, classes) or
 *                         (boxes, scores, classes, masks)
 *
 * with images [B,3,H,W] in [0,1]; of each picture boxes [n,4] in its pixels
 * (left, top, right, bottom), scores [n] in [0,1], classes [n] int64 from 0 and
 * masks [n,H,W], of which what is above 0.5 belongs to the object. Each is a
 * List[Tensor] of B, or one tensor [B,n,...] where n is the same for all: what
 * is of low score does not count.
 *
 * Reads `file` (judges/script_module.h), which tells `classes` classes apart.
 * Errors begin with "[who]". */
std::unique_ptr<Detector> make_script_detector(const std::string& who,
                                               const std::string& file,
                                               int64_t classes,
                                               torch::Device device,
                                               torch::ScalarType type);

}  // namespace rsm::geneval
