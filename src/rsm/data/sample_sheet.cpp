#include "rsm/data/sample_sheet.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/image.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/io/png_text.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr const char* kKeyword = "rsm";

/** What the file says of itself. */
json description_in(const std::string& path) {
  for (const auto& [keyword, text] : read_png_texts(path)) {
    if (keyword == kKeyword) return parse_json("[samples] " + path, text);
  }
  throw Error(cat("[samples] ", path, " has no text \"", kKeyword,
                  "\"; evaluations of this program write one"));
}

}  // namespace

torch::Tensor SampleSheet::tile(const torch::Tensor& grid,
                                int64_t picture) const {
  const int64_t row = picture / columns, column = picture % columns;
  return grid.narrow(1, row * (tile_height + gap), tile_height)
      .narrow(2, column * (tile_width + gap), tile_width);
}

std::string sample_sheet_name(int64_t epoch) {
  char name[32];
  std::snprintf(name, sizeof name, "epoch-%06lld.png",
                static_cast<long long>(epoch));
  return name;
}

void write_sample_sheet(const std::string& path, const SampleSheet& sheet,
                        const torch::Tensor& grid) {
  const json said = {{"epoch", sheet.epoch},
                     {"columns", sheet.columns},
                     {"tile_width", sheet.tile_width},
                     {"tile_height", sheet.tile_height},
                     {"gap", sheet.gap},
                     {"metric", sheet.metric},
                     {"seed", sheet.seed},
                     {"prompts", sheet.prompts},
                     {"members", sheet.members},
                     {"scores", sheet.scores}};
  write_png(path, grid, {{kKeyword, json_line(said)}});
}

DrawnSheet read_sample_sheet(const std::string& path) {
  const json said = description_in(path);
  const JsonFields fields(said, "[samples] " + path);
  DrawnSheet out;
  out.epoch = fields.integer("epoch");
  out.columns = fields.integer("columns", 1);
  constexpr int64_t kMostPixels = 1 << 16;  // of a side
  out.tile_width = fields.integer("tile_width", 1, kMostPixels);
  out.tile_height = fields.integer("tile_height", 1, kMostPixels);
  out.gap = fields.integer("gap", 0, kMostPixels);
  out.metric = fields.text("metric");
  out.seed = fields.seed("seed");
  out.prompts = fields.texts("prompts");
  out.members = fields.integers("members", 0);
  out.scores = fields.numbers("scores");
  const auto pictures = std::ssize(out.prompts);
  fields.check("prompts", pictures > 0, "at least one");
  fields.check("members", std::ssize(out.members) == pictures, "one a prompt");
  fields.check("scores", std::ssize(out.scores) == pictures, "one a prompt");
  out.grid = read_png(path);
  const int64_t columns = std::min(out.columns, pictures);
  const int64_t rows = (pictures + out.columns - 1) / out.columns;
  const int64_t width = columns * (out.tile_width + out.gap) - out.gap;
  const int64_t height = rows * (out.tile_height + out.gap) - out.gap;
  RSM_CHECK(out.grid.size(1) == height && out.grid.size(2) == width,
            "[samples] ", path, " has ", out.grid.size(2), " x ",
            out.grid.size(1), " pixels; by its text it has ", width, " x ",
            height);
  return out;
}

}  // namespace rsm
