#pragma once

#include <string>
#include <vector>

#include "rsm/base/denoiser.h"

namespace rsm {

/** Texts -> what a network is conditioned on. */
class Conditioner {
 public:
  virtual ~Conditioner() = default;
  /** One condition a text, without gradient. That of a text does not depend on
   * the others. */
  virtual Condition encode(const std::vector<std::string>& texts) const = 0;
};

}  // namespace rsm
