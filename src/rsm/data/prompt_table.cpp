#include "rsm/data/prompt_table.h"

#include <algorithm>
#include <cctype>

#include "rsm/base/error.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

constexpr char kSeparators[] = {'\t', ',', ';'};

struct Row {
  int64_t line;
  std::vector<std::string> cells;
};

/** Reads one row after another. */
class TableReader {
 public:
  TableReader(const std::string& path, const std::string& text, char separator)
      : path_(path), text_(text), separator_(separator) {}

  bool at_end() const { return at_ >= text_.size(); }

  Row next() {
    Row row{line_, {}};
    do {
      row.cells.push_back(cell());
    } while (take(separator_));
    end_line();
    return row;
  }

 private:
  bool take(char c) {
    if (at_end() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void end_line() {
    if (at_end()) return;
    if (!take('\r') || text_[at_] == '\n') take('\n');
    ++line_;
  }

  std::string cell() {
    const size_t start = at_;
    const int64_t line = line_;
    if (take('"')) {
      std::string quoted;
      if (take_quoted(quoted)) {
        // They may as well be quotes of two texts.
        RSM_CHECK(separator_ != '\t' || line_ == line, "[prompts] ", path_, ":",
                  line, ": a cell that begins with a quote ends in line ",
                  line_,
                  "; in a table with tabs a cell is one line: take the "
                  "quotes away, or write the table with commas");
        return quoted;
      }
      // Tabs separate texts as they are: a quote may just stand there.
      RSM_CHECK(separator_ == '\t', "[prompts] ", path_, ":", line_,
                ": a cell's quotes are not closed, or something follows them; "
                "write \"...\" around it and \"\" for a quote in it");
      at_ = start;
    }
    const std::string ends = {separator_, '\r', '\n'};
    at_ = std::min(text_.find_first_of(ends, start), text_.size());
    return text_.substr(start, at_ - start);
  }

  /** The rest of a quoted cell; false where it does not end as one. */
  bool take_quoted(std::string& out) {
    int64_t lines = 0;
    for (; !at_end(); ++at_) {
      if (text_[at_] == '\n') ++lines;
      if (text_[at_] != '"') {
        out += text_[at_];
        continue;
      }
      ++at_;
      const bool ends = at_end() || text_[at_] == separator_ ||
                        text_[at_] == '\r' || text_[at_] == '\n';
      if (ends) {
        line_ += lines;
        return true;
      }
      if (text_[at_] != '"') return false;
      out += '"';
    }
    return false;
  }

  const std::string& path_;
  const std::string& text_;
  char separator_;
  size_t at_ = 0;
  int64_t line_ = 1;
};

std::string plain(const std::string& cell) {
  std::string out;
  for (const char c : cell) {
    if (c == ' ' || c == '"') continue;
    out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

/** Index of the first of `names` among the columns; -1: there is none. */
int64_t column(const std::vector<std::string>& header,
               const std::vector<std::string>& names) {
  for (const auto& name : names) {
    for (int64_t i = 0; i < std::ssize(header); ++i) {
      if (plain(header[i]) == name) return i;
    }
  }
  return -1;
}

int64_t prompt_column(const std::vector<std::string>& header) {
  return column(header, {"prompt", "prompts", "caption", "text"});
}

std::vector<std::string> split(const std::string& line, char separator) {
  std::vector<std::string> cells(1);
  for (const char c : line) {
    if (c == separator) {
      cells.emplace_back();
    } else {
      cells.back() += c;
    }
  }
  return cells;
}

/** The separator that makes a column of prompts of the first line. */
char separator_of(const std::string& place, const std::string& line) {
  char found = 0;
  size_t most = 0;
  for (const char separator : kSeparators) {
    const auto cells = split(line, separator);
    if (prompt_column(cells) >= 0 && cells.size() > most) {
      found = separator;
      most = cells.size();
    }
  }
  if (found == 0) {
    throw UsageError(cat("[prompts] ", place,
                         ": the table has no column called prompt (or caption, "
                         "or text): its first line ",
                         "is \"", shown(line), "\"; name the columns there"));
  }
  return found;
}

bool is_empty(const std::vector<std::string>& cells) {
  return std::all_of(cells.begin(), cells.end(), [](const std::string& cell) {
    return cell.find_first_not_of(" \t") == std::string::npos;
  });
}

}  // namespace

bool names_columns(const std::string& line) {
  for (const char separator : kSeparators) {
    const auto cells = split(line, separator);
    // Names are words: "poster, text, red background" is a prompt.
    const bool words = line.find(' ') == std::string::npos;
    if (words && prompt_column(cells) >= 0) return true;
  }
  return false;
}

std::vector<PromptRow> read_prompt_table(const std::string& path,
                                         const std::string& text) {
  const size_t word = text.find_first_not_of(" \t\r\n");
  const size_t start = text.find_last_of("\r\n", word) + 1;  // npos + 1 is 0
  const std::string first =
      text.substr(start, text.find_first_of("\r\n", start) - start);
  TableReader reader(path, text,
                     separator_of(cat(path, ":", line_of(text, start)), first));
  auto header = reader.next().cells;
  while (is_empty(header)) header = reader.next().cells;
  const int64_t prompt = prompt_column(header);
  const int64_t category = column(header, {"category", "tag"});
  const int64_t negative =
      column(header, {"negative_prompt", "negativeprompt", "negative"});
  std::vector<PromptRow> rows;
  while (!reader.at_end()) {
    const Row row = reader.next();
    if (is_empty(row.cells)) continue;
    RSM_CHECK(row.cells.size() == header.size(), "[prompts] ", path, ":",
              row.line, ": ", row.cells.size(), " cells, and the first line ",
              "names ", header.size(),
              " columns; write \"...\" around a cell with separators");
    const auto cell = [&](int64_t at) { return at < 0 ? "" : row.cells[at]; };
    rows.push_back({row.line, cell(prompt), cell(category), cell(negative)});
  }
  return rows;
}

}  // namespace rsm
