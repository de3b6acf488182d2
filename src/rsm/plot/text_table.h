#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace rsm::report {

/** Texts in rows; the first of a row is its name. Without a head it is a list
 * of names and what they are. */
struct TextTable {
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};

/** For a terminal, in ASCII where its names are: names to the left, numbers to
 * the right, an empty line after the last; "" without rows. */
std::string table_text(const TextTable& table);

/** For a page, where it scrolls by itself; "" without rows. `marks` are HTML
 * that stands before the names, one a row, or empty. */
std::string table_html(const TextTable& table,
                       const std::vector<std::string>& marks = {});

/** After RFC 4180, with "\n". */
std::string table_csv(const TextTable& table);

}  // namespace rsm::report
