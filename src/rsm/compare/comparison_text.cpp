#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_tables.h"
#include "rsm/plot/format.h"

namespace rsm::report {
namespace {

constexpr size_t kColumns = 100;
constexpr size_t kNameWidth = 22;  ///< see short_names

/** The text in lines of kColumns, further ones indented. */
std::string wrapped(std::string text, const std::string& indent) {
  text = plain_signs(std::move(text));
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
  out = wrapped(out, "") + "\n";
  for (auto table :
       {result_table(comparison, Width::terminal), cost_table(comparison),
        target_table(comparison, Width::terminal)}) {
    for (size_t i = 0; i < table.rows.size(); ++i) table.rows[i][0] = names[i];
    out += table_text(table);
  }
  out += key_of(comparison, names);
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
