#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace rsm {

/** Pictures of one evaluation in one PNG file, which says itself what they are:
 * a text `rsm` (io/png_text.h), a JSON object of the fields below by their
 * names. Lists have an entry a picture, row by row. */
struct SampleSheet {
  int64_t epoch = 0;
  int64_t columns = 1;
  /** In pixels; `gap` lies between tiles. */
  int64_t tile_width = 0, tile_height = 0, gap = 0;
  std::string metric;  ///< what `scores` are
  uint64_t seed = 0;   ///< of the run
  std::vector<std::string> prompts;
  std::vector<int64_t> members;  ///< which sample of its prompt each is
  std::vector<double> scores;    ///< NaN, null in the file: none

  /** [3,tile_height,tile_width] of the grid that this describes. */
  torch::Tensor tile(const torch::Tensor& grid, int64_t picture) const;
};

/** epoch-NNNNNN.png */
std::string sample_sheet_name(int64_t epoch);

/** Writes a grid (image_grid, io/image.h) that the sheet describes. */
void write_sample_sheet(const std::string& path, const SampleSheet& sheet,
                        const torch::Tensor& grid);

struct DrawnSheet : SampleSheet {
  torch::Tensor grid;  ///< [3,H,W] uint8
};

/** Throws rsm::Error naming the file and what is missing or contradicts. */
DrawnSheet read_sample_sheet(const std::string& path);

}  // namespace rsm
