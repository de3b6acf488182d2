#pragma once

#include <cstdint>

#include "rsm/base/picture_knobs.h"
#include "rsm/base/strength_knobs.h"

namespace rsm {

/** Forward rows: pictures that branches lead to, noised again and trained on
 * beside them as by PictureKnobs. They are drawn and judged anyway, and have
 * the advantage of the branch that led to them. */
struct ForwardKnobs {
  double weight = 1;  ///< of their loss beside the branches'
  double beta = 0;    ///< of their <(y - y_ref)^2>, in that loss
  StrengthKnobs::Shape shape = StrengthKnobs::Shape::predicted;
  /** How they are noised, `draws` times each (0: not at all), and what their
   * distance is. The exponent is AWM's. */
  PictureKnobs pictures = {.draws = 0, .exponent = 0.25};

  bool is_on() const { return pictures.draws > 0; }
  bool operator==(const ForwardKnobs&) const = default;
};

}  // namespace rsm
