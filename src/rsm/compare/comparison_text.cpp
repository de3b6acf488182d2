#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_tables.h"

namespace rsm::report {
namespace {

constexpr size_t kColumns = 100;
constexpr size_t kNameWidth = 22;  ///< see short_names

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string space(width - std::min(width, text.size()), ' ');
  return right ? space + text : text + space;
}

/** Names to the left, numbers to the right. */
std::string line_of(const std::vector<std::string>& row,
                    const std::vector<size_t>& widths) {
  std::string out = padded(row[0], widths[0], false);
  for (size_t i = 1; i < row.size(); ++i) {
    out += "  " + padded(row[i], widths[i], true);
  }
  return out + "\n";
}

/** With these names of the rows. */
std::string draw(const TextTable& table,
                 const std::vector<std::string>& names) {
  if (table.rows.empty()) return "";
  auto lines = table.rows;
  for (size_t i = 0; i < lines.size(); ++i) lines[i][0] = names[i];
  lines.insert(lines.begin(), table.head);
  std::vector<size_t> widths(table.head.size(), 0);
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string out;
  for (const auto& line : lines) out += line_of(line, widths);
  return out + "\n";
}

/** The text in lines of kColumns, further ones indented. */
std::string wrapped(const std::string& text, const std::string& indent) {
  std::string out, line;
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const auto word = text.substr(at, end - at);
    const bool full = line.size() + 1 + word.size() > kColumns;
    if (full && line.size() > indent.size()) {
      out += line + "\n";
      line = indent + word;
    } else {
      line += (at == 0 ? "" : " ") + word;
    }
    at = end + 1;
  }
  return out + line + "\n";
}

/** What numbered names stand for. */
std::string key_of(const Comparison& comparison,
                   const std::vector<std::string>& names) {
  std::string out;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto& label = comparison.settings[i].label();
    if (names[i] != label) out += wrapped(cat(i + 1, " ", label), "  ");
  }
  return out.empty() ? "" : out + "\n";
}

}  // namespace

std::string comparison_text(const Comparison& comparison) {
  const auto names = short_names(comparison, kNameWidth);
  std::string out = size_text(comparison) + ".";
  for (const auto& line : headlines(comparison)) out += " " + line;
  out = wrapped(out, "") + "\n" + draw(result_table(comparison), names) +
        draw(cost_table(comparison), names) +
        draw(target_table(comparison), names) + key_of(comparison, names);
  for (const auto& note : reading_notes(comparison)) {
    out += wrapped(note, "  ");
  }
  if (!comparison.warnings.empty()) out += "\n";
  for (const auto& warning : comparison.warnings) {
    out += wrapped("warning: " + warning, "  ");
  }
  return out;
}

}  // namespace rsm::report
