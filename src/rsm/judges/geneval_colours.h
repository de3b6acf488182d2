#pragma once

#include <torch/types.h>

#include <string>
#include <vector>

#include "rsm/judges/clip_towers.h"
#include "rsm/judges/geneval_rules.h"

namespace rsm::geneval {

/** A part of a picture [3,H,W]: what lies within a box whose sides are rounded
 * to pixels, halves to the even one, and moved into the picture; one pixel at
 * least. `mask` [H,W] bool, on the picture's device, may be undefined. */
struct Part {
  torch::Tensor pixels;  ///< [3,h,w]
  torch::Tensor mask;    ///< [h,w], or undefined
};
Part part_of(const torch::Tensor& image, const Box& box,
             const torch::Tensor& mask);

/** What most pixels of a part are, of kColours, or kNoColour where all are
 * grey: of its mask or, without one, of its middle, half its width and height.
 * A pixel of value (the largest of R, G, B) below .2 is black; of saturation
 * below .15, white where the value is above .8, and otherwise grey; else its
 * hue tells, with red that is pale called pink, and red and orange that are
 * dark called brown. */
int colour_by_hue(const Part& part);

/** Tells colours as GenEval does: zero-shot, by a CLIP and the texts "a photo
 * of a red cup", "a photo of a red-colored cup" and "a photo of a red object",
 * of a part on grey (#999) outside of its mask. Threads may share one. */
class ColoursByClip {
 public:
  /** As ClipTowers. */
  ColoursByClip(const std::string& who, const std::string& folder,
                const ClipTowersOptions& options)
      : towers_(who, folder, options) {}

  /** Cosines [n,10] float32 on the CPU of as many parts, of objects called
   * `names`, with kColours. Each part's are its own. */
  torch::Tensor cosines(const std::vector<Part>& parts,
                        const std::vector<std::string>& names) const;

 private:
  torch::Tensor texts(const std::string& name) const;

  ClipTowers towers_;
};

}  // namespace rsm::geneval
