#include <algorithm>
#include <cmath>
#include <cstdint>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

/** Further pairs are folded away. */
constexpr int64_t kMostPairs = 12;

/** The grid's bytes, once in the page; tiles refer to it. */
std::string stored_grid(const std::string& id, const std::string& png,
                        const TileLayout& layout) {
  return cat(
      "<svg class=\"store\" aria-hidden=\"true\" width=\"0\" "
      "height=\"0\"><defs><image id=\"",
      id, "\" width=\"", layout.width(), "\" height=\"", layout.height(),
      "\" href=\"data:image/png;base64,", base64(png), "\"/></defs></svg>\n");
}

using ScoreList = std::vector<double>;

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
    return score == 1 ? "<b class=\"right\">✓</b>" : "<b class=\"wrong\">✗</b>";
  }
};

Marks marks_of(const SamplesRecord& samples) {
  return {is_yes_or_no(samples.before.scores) &&
          is_yes_or_no(samples.after.scores)};
}

/** A tile of the stored grid `id` over `words` and its score; `label` says both
 * to those who don't see it. */
std::string tile(const std::string& id, const SamplesRecord::Grid& grid,
                 const TileLayout& layout, size_t index, const Marks& marks,
                 const std::string& label, const std::string& words) {
  if (grid.png.empty()) return "";
  const auto i = static_cast<int64_t>(index);
  const int64_t x = i % layout.columns * (layout.tile_width + layout.gap);
  const int64_t y = i / layout.columns * (layout.tile_height + layout.gap);
  const double score = grid.scores[index];
  return cat("<span class=\"tile\"><svg role=\"img\" aria-label=\"", label,
             marks.words(score), "\" viewBox=\"", x, " ", y, " ",
             layout.tile_width, " ", layout.tile_height, "\"><use href=\"#", id,
             "\"/></svg><span>", words, marks.html(score), "</span></span>");
}

/** "9 of 24 right"; "" where not judged so. */
std::string share_right(const ScoreList& scores) {
  const auto right = std::count(scores.begin(), scores.end(), 1);
  const auto wrong = std::count(scores.begin(), scores.end(), 0);
  return right + wrong == 0 ? "" : cat(right, " of ", right + wrong);
}

std::string introduction(const RunRecord& record) {
  const auto& samples = record.samples;
  if (samples.before.png.empty() || samples.after.png.empty()) {
    return "<p>Samples.</p>\n";
  }
  if (!marks_of(samples).yes_or_no) {
    return "<p>The same prompts and seeds, with each picture's " +
           escape_html(record.main_metric) + ".</p>\n";
  }
  const auto before = share_right(samples.before.scores);
  const auto after = share_right(samples.after.scores);
  const bool judged = !before.empty() && !after.empty();
  return "<p>The same prompts and seeds" +
         (judged ? ": <strong>" + before +
                       "</strong> right before training, <strong>" + after +
                       "</strong> after"
                 : "") +
         ".</p>\n";
}

/** `shown` evenly spaced pictures, each before and after, under its prompt. */
std::string cards(const SamplesRecord& samples, int64_t shown) {
  const auto pictures = std::ssize(samples.prompts);
  const auto marks = marks_of(samples);
  std::string out = "<div class=\"pairs\">\n";
  for (int64_t i = 0; i < shown; ++i) {
    const auto index = static_cast<size_t>(i * pictures / shown);
    const auto pair_tile = [&](const std::string& id,
                               const SamplesRecord::Grid& grid) {
      return tile(id, grid, samples.layout, index, marks, id, id + " ");
    };
    out += "<div class=\"card\"><p>" + escape_html(samples.prompts[index]) +
           "</p><div>" + pair_tile("before", samples.before) +
           pair_tile("after", samples.after) + "</div></div>\n";
  }
  return out + "</div>\n";
}

std::string epoch_name(int64_t epoch) {
  return epoch == 0 ? "before" : cat("epoch ", epoch);
}

/** The strip's row of a prompt. */
std::string strip_row(const StripRecord& strip, size_t row,
                      const Marks& marks) {
  const auto columns = strip.epochs.size();
  std::string out = "<tr><th scope=\"row\">" + escape_html(strip.prompts[row]);
  if (strip.members[row] > 0) {
    out += cat(" <small>sample ", strip.members[row] + 1, "</small>");
  }
  out += "</th>";
  for (size_t k = 0; k < columns; ++k) {
    out += "<td>" +
           tile("strip", strip.grid, strip.layout, row * columns + k, marks,
                epoch_name(strip.epochs[k]), "") +
           "</td>";
  }
  return out + "</tr>\n";
}

/** What the strip shows, in a sentence or two. */
std::string strip_introduction(const RunRecord& record) {
  const auto shown = std::ssize(record.strip.epochs);
  const auto all = std::ssize(record.evaluated());
  const auto of = shown < all ? cat(shown, " of ", all, " evaluations")
                              : cat("all ", all, " evaluations");
  return cat(
      "<p>Each row is one prompt with the same noise, counted from seed ",
      record.seed, "; columns are ", of, ".</p>\n");
}

}  // namespace

std::string strip_html(const RunRecord& record) {
  const auto& strip = record.strip;
  if (strip.epochs.empty()) return "";
  std::string out =
      stored_grid("strip", strip.grid.png, strip.layout) +
      strip_introduction(record) +
      "<div class=\"scroll\"><table class=\"strip\">\n<thead><tr><td></td>";
  for (const int64_t epoch : strip.epochs) {
    out += "<th scope=\"col\">" + epoch_name(epoch) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  const Marks marks = {is_yes_or_no(strip.grid.scores)};
  for (size_t row = 0; row < strip.prompts.size(); ++row) {
    out += strip_row(strip, row, marks);
  }
  return out + "</tbody></table></div>\n";
}

std::string samples_html(const RunRecord& record) {
  const auto& samples = record.samples;
  std::string out;
  for (const auto& [id, grid] : {std::pair("before", &samples.before),
                                 std::pair("after", &samples.after)}) {
    if (!grid->png.empty()) out += stored_grid(id, grid->png, samples.layout);
  }
  if (out.empty()) return "";
  const auto pictures = std::ssize(samples.prompts);
  out += introduction(record) + cards(samples, std::min(pictures, kMostPairs));
  if (pictures <= kMostPairs) return out;
  return out + cat("<details class=\"more\"><summary>All ", pictures,
                   " pictures</summary>\n", cards(samples, pictures),
                   "</details>\n");
}

}  // namespace rsm::report
