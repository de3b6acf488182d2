#include "rsm/plot/text_table.h"

#include <algorithm>

#include "rsm/base/error.h"
#include "rsm/plot/format.h"

namespace rsm::report {
namespace {

using Row = std::vector<std::string>;

std::string padded(const std::string& text, size_t width, bool right) {
  const std::string space(width - std::min(width, text.size()), ' ');
  return right ? space + text : text + space;
}

std::string csv_line(const Row& row) {
  Row cells;
  for (const auto& text : row) {
    const bool plain = text.find_first_of(",\"\r\n") == std::string::npos;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    cells.push_back(plain ? text : quoted + "\"");
  }
  return join(cells, ",") + "\n";
}

}  // namespace

std::string table_text(const TextTable& table) {
  if (table.rows.empty()) return "";
  auto lines = table.rows;
  lines.insert(lines.begin(), table.head);
  std::vector<size_t> widths;
  for (auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()), 0);
    for (size_t i = 0; i < line.size(); ++i) {
      line[i] = plain_signs(line[i]);
      widths[i] = std::max(widths[i], line[i].size());
    }
  }
  std::string out;
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      out += (i > 0 ? "  " : "") + padded(line[i], widths[i], i > 0);
    }
    out += "\n";
  }
  return out + "\n";
}

std::string table_html(const TextTable& table, const Row& marks) {
  if (table.rows.empty()) return "";
  const bool numbers = !table.head.empty();
  std::string out = "<div class=\"scroll\"><table" +
                    std::string(numbers ? " class=\"numbers\"" : "") + ">\n";
  if (numbers) {
    out += "<thead><tr>";
    for (const auto& text : table.head) {
      out += "<th scope=\"col\">" + escape_html(text) + "</th>";
    }
    out += "</tr></thead>\n";
  }
  out += "<tbody>\n";
  for (size_t r = 0; r < table.rows.size(); ++r) {
    const auto& row = table.rows[r];
    out += "<tr><th scope=\"row\">" + (r < marks.size() ? marks[r] : "") +
           escape_html(row[0]) + "</th>";
    for (size_t i = 1; i < row.size(); ++i) {
      out += "<td>" + escape_html(row[i]) + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string table_csv(const TextTable& table) {
  std::string out = csv_line(table.head);
  for (const auto& row : table.rows) out += csv_line(row);
  return out;
}

}  // namespace rsm::report
