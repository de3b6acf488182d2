#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

/** Further pairs are folded away. */
constexpr int64_t kMostPairs = 12;

struct Size {
  int64_t width = 0;
  int64_t height = 0;
};

/** From the header of a PNG file; none for other bytes. */
std::optional<Size> png_size(const std::string& bytes) {
  static const std::string kStart("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  if (bytes.size() < 24 || bytes.compare(0, 16, kStart) != 0) return {};
  const auto big_endian = [&](size_t at) {
    int64_t value = 0;
    for (size_t i = at; i < at + 4; ++i) {
      value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return value;
  };
  return Size{big_endian(16), big_endian(20)};
}

/** Where the tiles of a grid lie. */
struct Grid {
  Size whole;
  int64_t columns = 0;
  int64_t rows = 0;
  int64_t gap = 0;
  int64_t width = 0;  ///< of a tile
  int64_t height = 0;

  int64_t count() const { return columns * rows; }
};

/** The smallest gap with which square tiles fit; none where no gap does. */
std::optional<Grid> find_grid(const Size& whole, int64_t columns,
                              int64_t rows) {
  constexpr int64_t kWidestGap = 64;
  if (columns < 1 || rows < 1) return {};
  for (int64_t gap = 0; gap <= kWidestGap; ++gap) {
    Grid grid = {whole, columns, rows, gap, 0, 0};
    grid.width = (whole.width + gap) / columns - gap;
    grid.height = (whole.height + gap) / rows - gap;
    if (grid.width > gap && grid.width == grid.height &&
        (whole.width + gap) % columns == 0 &&
        (whole.height + gap) % rows == 0) {
      return grid;
    }
  }
  return {};
}

std::string box(int64_t x, int64_t y, int64_t width, int64_t height) {
  return cat(" viewBox=\"", x, " ", y, " ", width, " ", height, "\"");
}

/** The picture's bytes, once in the page; tiles refer to it. */
std::string stored_picture(const std::string& id, const std::string& png,
                           const Size& size) {
  return cat(
      "<svg class=\"store\" aria-hidden=\"true\" width=\"0\" "
      "height=\"0\"><defs><image id=\"",
      id, "\" width=\"", size.width, "\" height=\"", size.height,
      "\" href=\"data:image/png;base64,", base64(png), "\"/></defs></svg>\n");
}

std::string whole_picture(const std::string& id, const std::string& title,
                          const Size& size) {
  return "<figure class=\"grid\"><figcaption>" + escape_html(title) +
         "</figcaption><svg role=\"img\" aria-label=\"" + escape_html(title) +
         "\"" + box(0, 0, size.width, size.height) + "><use href=\"#" + id +
         "\"/></svg></figure>\n";
}

using ScoreList = std::vector<double>;

double score_at(const ScoreList& scores, int64_t index) {
  const auto i = static_cast<size_t>(index);
  return i < scores.size() ? scores[i]
                           : std::numeric_limits<double>::quiet_NaN();
}

bool is_yes_or_no(const ScoreList& scores) {
  return std::all_of(scores.begin(), scores.end(), [](double score) {
    return score == 0 || score == 1 || std::isnan(score);
  });
}

/** How scores stand below pictures. */
struct Marks {
  bool yes_or_no = false;

  std::string words(double score) const {
    if (std::isnan(score)) return "";
    if (!yes_or_no) return ": " + format_short(score);
    return score == 1 ? ": right" : ": wrong";
  }
  std::string html(double score) const {
    if (std::isnan(score)) return "";
    if (!yes_or_no) return format_short(score);
    return score == 1 ? "<b class=\"right\">\xe2\x9c\x93</b>"
                      : "<b class=\"wrong\">\xe2\x9c\x97</b>";
  }
};

Marks marks_of(const SamplesRecord& samples) {
  return {is_yes_or_no(samples.scores_before) &&
          is_yes_or_no(samples.scores_after)};
}

std::string tile(const std::string& id, const Grid& grid, int64_t index,
                 double score, const Marks& marks) {
  const int64_t x = index % grid.columns * (grid.width + grid.gap);
  const int64_t y = index / grid.columns * (grid.height + grid.gap);
  return "<span class=\"tile\"><svg role=\"img\" aria-label=\"" + id +
         marks.words(score) + "\"" + box(x, y, grid.width, grid.height) +
         "><use href=\"#" + id + "\"/></svg><span>" + id + " " +
         marks.html(score) + "</span></span>";
}

/** "9 of 24 right"; "" where not judged so. */
std::string share_right(const ScoreList& scores) {
  const auto right = std::count(scores.begin(), scores.end(), 1);
  const auto wrong = std::count(scores.begin(), scores.end(), 0);
  return right + wrong == 0 ? "" : cat(right, " of ", right + wrong);
}

std::string introduction(const RunRecord& record, bool both) {
  const auto& samples = record.samples;
  if (!both) return "<p>Samples.</p>\n";
  std::string out = "<p>The same prompts and seeds";
  const bool judged = !samples.scores_before.empty();
  if (judged && !marks_of(samples).yes_or_no) {
    return out + ", with each picture's " + escape_html(record.main_metric) +
           ".</p>\n";
  }
  const auto before = share_right(samples.scores_before);
  const auto after = share_right(samples.scores_after);
  if (!before.empty() && !after.empty()) {
    out += ": <strong>" + before + "</strong> right before training, <strong>" +
           after + "</strong> after";
  }
  return out + ".</p>\n";
}

std::string both_grids(const std::optional<Size>& before,
                       const std::optional<Size>& after) {
  std::string out = "<div class=\"pair\">\n";
  if (before) {
    out += whole_picture("before", "Before", *before);
  }
  if (after) {
    out += whole_picture("after", "After", *after);
  }
  return out + "</div>\n";
}

/** One picture before and after, under its prompt. */
std::string card(const SamplesRecord& samples, const Grid& grid, int64_t index,
                 const std::string& prompt) {
  const auto marks = marks_of(samples);
  return "<div class=\"card\"><p>" + escape_html(prompt) + "</p><div>" +
         tile("before", grid, index, score_at(samples.scores_before, index),
              marks) +
         tile("after", grid, index, score_at(samples.scores_after, index),
              marks) +
         "</div></div>\n";
}

/** `shown` evenly spaced ones of the first `pictures` of the grid. */
std::string cards(const SamplesRecord& samples, const Grid& grid,
                  int64_t pictures, int64_t shown) {
  const auto prompts = static_cast<int64_t>(samples.prompts.size());
  const bool by_row = prompts <= grid.rows;
  std::string out = "<div class=\"pairs\">\n";
  for (int64_t i = 0; i < shown; ++i) {
    const int64_t index = i * pictures / shown;
    const int64_t prompt = by_row ? index / grid.columns : index;
    out += card(samples, grid, index,
                samples.prompts[static_cast<size_t>(prompt)]);
  }
  return out + "</div>\n";
}

/** Some pairs, and all of them folded away. Prompts are one a picture (the last
 * row may be shorter) or one a row. */
std::string pairs(const SamplesRecord& samples, const Grid& grid) {
  const auto prompts = static_cast<int64_t>(samples.prompts.size());
  const int64_t pictures = prompts <= grid.rows
                               ? prompts * grid.columns
                               : std::min(prompts, grid.count());
  const std::string all = cards(samples, grid, pictures, pictures);
  if (pictures <= kMostPairs) return all;
  return cards(samples, grid, pictures, kMostPairs) +
         cat("<details class=\"more\"><summary>All ", pictures,
             " pictures</summary>\n", all, "</details>\n");
}

}  // namespace

std::string samples_html(const RunRecord& record) {
  const auto& samples = record.samples;
  const auto before = png_size(samples.before_png);
  const auto after = png_size(samples.after_png);
  std::string out;
  if (before) out += stored_picture("before", samples.before_png, *before);
  if (after) out += stored_picture("after", samples.after_png, *after);
  if (out.empty()) return "";
  out += introduction(record, before && after);
  if (before && after && before->width == after->width &&
      before->height == after->height && !samples.prompts.empty()) {
    if (const auto grid = find_grid(*before, samples.columns, samples.rows)) {
      return out + pairs(samples, *grid);
    }
  }
  return out + both_grids(before, after);
}

}  // namespace rsm::report
