#pragma once

#include <string>

#include "rsm/base/prompt.h"

namespace rsm {

/** Reads prompts from a file in UTF-8 (a byte order mark and any line ends are
 * taken), whose format its name and content say together, upper and lower case
 * alike:
 *
 * | name | holds |
 * | .txt or any other | a prompt a line |
 * | .jsonl, .ndjson | a JSON text or object a line |
 * | .json | a list of JSON texts or objects; lines as above are taken, too |
 * | .csv, .tsv, .tab | a table; its first line names the columns |
 *
 * Objects have a text "prompt" and, if wanted, "category" or "tag" (as
 * GenEval's metadata has it); null is as missing. One with any key but "prompt"
 * and "category" is kept whole as Prompt::metadata (quote_python_numbers,
 * io/json_text.h, of what is no JSON).
 * Tables have a column prompt (or caption, or text) and, if wanted, category
 * (or tag); cells with separators, quotes or line ends stand in quotes (RFC
 * 4180). Surrounding white space and empty lines don't count; ids count from 0.
 * A text "negative_prompt" or "negative", as key or column, is refused unless
 * it is empty: a run has one negative prompt, not one a prompt.
 *
 * Throws rsm::UsageError where the content is of another format than the name
 * says, or of none of these; rsm::Error naming file and line where a prompt is
 * malformed or none is left. */
Prompts read_prompt_file(const std::string& path);

}  // namespace rsm
