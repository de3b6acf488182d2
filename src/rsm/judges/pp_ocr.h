#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "rsm/judges/ocr_engine.h"
#include "rsm/judges/ocr_settings.h"
#include "rsm/judges/onnx_network.h"

namespace rsm {

/** Reads the texts of pictures as PP-OCR does (arXiv 2009.09941): a detector
 * says where lines are, which are cut out and laid straight, and a recogniser
 * what they say. Upright and slanted lines are read, none upside down. Errors
 * begin with "[who]". */
class PpOcr : public OcrEngine {
 public:
  /** Reads the networks and the list of characters, of which the recogniser's
   * network knows the numbers. So many calls are under way at once. */
  PpOcr(std::string who, OcrSettings settings, int64_t threads);

  std::string read(const torch::Tensor& picture) const override;

  /** Throws also where the networks give other shapes or numbers that are not
   * finite. */
  void check() const override;

 private:
  torch::Tensor map_of(const torch::Tensor& bytes) const;
  std::string line_of(const torch::Tensor& bytes) const;
  torch::Tensor chances_of(const torch::Tensor& shown) const;

  std::string who_;
  OcrSettings settings_;
  OnnxNetwork detector_, recogniser_;
  std::vector<std::string> characters_;  ///< by number; 0: between two
};

}  // namespace rsm
