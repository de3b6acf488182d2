#pragma once

#include <torch/types.h>

#include <string>

namespace rsm {

/** Reads the texts of pictures, on the CPU. Threads may share one. A picture's
 * text depends on nothing but its bytes, as 8-bit files would hold them. */
class OcrEngine {
 public:
  virtual ~OcrEngine() = default;

  /** A picture [3,H,W] in [0,1] -> its texts in UTF-8, line after line, without
   * anything between; "" where there is none. */
  virtual std::string read(const torch::Tensor& picture) const = 0;

  /** Tries it with a black picture and one of noise. Throws rsm::Error where it
   * fails at them. */
  virtual void check() const = 0;
};

}  // namespace rsm
