#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rsm {

/** One row of a table of prompts, as it stands there. */
struct PromptRow {
  int64_t line;  ///< where the row begins, from 1
  std::string prompt, category, negative;
};

/** Whether one of the line's cells is a column of prompts. */
bool names_columns(const std::string& line);

/** Rows of a table (RFC 4180; separated by tabs, commas or semicolons,
 * whichever gives its first line a column of prompts). Empty lines don't count;
 * between tabs a cell is one line.
 * Throws rsm::UsageError where no column is called prompt, caption or text,
 * rsm::Error naming file and line where a row has another number of cells or a
 * quote is not closed. */
std::vector<PromptRow> read_prompt_table(const std::string& path,
                                         const std::string& text);

}  // namespace rsm
