#include "rsm/report/read_strip.h"

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/data/sample_sheet.h"
#include "rsm/io/files.h"
#include "rsm/io/image.h"

namespace rsm::report {
namespace {

constexpr int64_t kMostRows = 6;
constexpr int64_t kMostColumns = 8;

/** Evenly spaced numbers of [0, all), the first and the last among them. */
std::vector<int64_t> spread(int64_t all, int64_t most) {
  const int64_t count = std::min(all, most);
  std::vector<int64_t> out;
  for (int64_t k = 0; k < count; ++k) {
    out.push_back(count == 1 ? 0 : k * (all - 1) / (count - 1));
  }
  return out;
}

/** Epochs whose pictures are there. */
std::vector<int64_t> kept_epochs(
    const std::string& samples,
    const std::vector<const EpochRecord*>& evaluated) {
  std::vector<int64_t> out;
  for (const auto* line : evaluated) {
    const auto path = samples + "/" + sample_sheet_name(line->epoch);
    if (is_there(path)) out.push_back(line->epoch);
  }
  return out;
}

/** Throws unless both show the same prompts and noise. */
void check_same(const std::string& path, const SampleSheet& a,
                const SampleSheet& b) {
  RSM_CHECK(a.prompts == b.prompts && a.members == b.members &&
                a.seed == b.seed && a.columns == b.columns &&
                a.tile_width == b.tile_width &&
                a.tile_height == b.tile_height && a.gap == b.gap,
            "[run] ", path, " shows other pictures than ",
            sample_sheet_name(a.epoch), " beside it");
}

/** What can be read of the evaluations that the strip shows. */
std::vector<DrawnSheet> sheets_of(const std::string& samples,
                                  const std::vector<int64_t>& epochs,
                                  std::vector<std::string>& problems) {
  std::vector<DrawnSheet> out;
  for (const int64_t k : spread(std::ssize(epochs), kMostColumns)) {
    const auto path = samples + "/" + sample_sheet_name(epochs[k]);
    try {
      auto sheet = read_sample_sheet(path);
      if (!out.empty()) check_same(path, out.front(), sheet);
      sheet.epoch = epochs[k];
      out.push_back(std::move(sheet));
    } catch (const Error& error) {
      problems.push_back(cat("The pictures of epoch ", epochs[k],
                             " cannot be shown: ", error.what()));
    }
  }
  return out;
}

}  // namespace

StripRecord read_strip(const std::string& samples,
                       const std::vector<const EpochRecord*>& evaluated,
                       std::vector<std::string>& problems) {
  const auto sheets =
      sheets_of(samples, kept_epochs(samples, evaluated), problems);
  if (sheets.size() < 2) return {};
  StripRecord out;
  for (const auto& sheet : sheets) out.epochs.push_back(sheet.epoch);
  const auto& first = sheets.front();
  std::vector<torch::Tensor> tiles;
  for (const int64_t i : spread(std::ssize(first.prompts), kMostRows)) {
    out.prompts.push_back(first.prompts[i]);
    out.members.push_back(first.members[i]);
    for (const auto& sheet : sheets) {
      tiles.push_back(sheet.tile(sheet.grid, i));
      out.grid.scores.push_back(sheet.scores[i]);
    }
  }
  out.layout = {std::ssize(sheets), first.tile_width, first.tile_height,
                first.gap, std::ssize(tiles)};
  out.grid.png = encode_png(
      image_grid(at::stack(tiles), out.layout.columns, first.gap, /*zoom=*/1));
  return out;
}

}  // namespace rsm::report
