#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "rsm/judges/ocr_engine.h"
#include "rsm/judges/ocr_settings.h"

namespace rsm {

/** Whether this program was built with Tesseract's library. */
bool has_tesseract();

/** Reads the texts of pictures by the networks of Tesseract 5: text of any size
 * wherever it stands (sparse text), upright or nearly so. Each call computes on
 * one core. Errors begin with "[who]". */
class TesseractOcr : public OcrEngine {
 public:
  /** Of the settings it takes the languages, `side` and `confidence`. As many
   * calls as `threads` >= 1 are under way at once; others wait. Throws
   * rsm::Error where a language's data are missing or cannot be read, and where
   * there is no library, with what to do. */
  TesseractOcr(std::string who, OcrSettings settings, int64_t threads);
  ~TesseractOcr() override;

  std::string read(const torch::Tensor& picture) const override;
  void check() const override;

 private:
  class Readers;

  std::string who_;
  OcrSettings settings_;
  std::unique_ptr<Readers> readers_;
};

}  // namespace rsm
