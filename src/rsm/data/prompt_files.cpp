#include "rsm/data/prompt_files.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/data/prompt_table.h"
#include "rsm/io/files.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/io/plain_text.h"
#include "rsm/io/printable.h"

namespace rsm {
namespace {

constexpr uint64_t kMostBytes = 256 << 20;  ///< a million long prompts

constexpr const char* kFormats =
    "known are .txt (a prompt a line), .jsonl (a JSON object a line), .json (a "
    "list), .csv and .tsv (with a line of column names)";

struct Line {
  int64_t number;  ///< from 1
  std::string text;
};

enum class Format { text, lines_of_json, json, table };

std::string lower(std::string text) {
  for (char& c : text) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return text;
}

std::string trimmed(const std::string& text) {
  constexpr const char* kSpace = " \t\r\n\v\f";
  const size_t first = text.find_first_not_of(kSpace);
  return first == std::string::npos
             ? ""
             : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

[[noreturn]] void refuse(const std::string& path, const std::string& what) {
  throw UsageError(cat("[prompts] ", path, ": ", what, "; ", kFormats));
}

/** Formats that others keep prompts in, and this program does not read. */
void check_readable(const std::string& path, const std::string& ending,
                    const std::string& bytes) {
  for (const char* start :
       {"PAR1", "ARROW1", "PK\x03\x04", "\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd",
        "\xfd"
        "7zXZ",
        "%PDF-", "\x89PNG", "\x80\x02", "\x80\x03", "\x80\x04",
        "SQLite format"}) {
    if (bytes.starts_with(start)) {
      refuse(path, "a binary file (compressed, a table or a picture)");
    }
  }
  for (const char* other :
       {".yaml",   ".yml", ".toml",    ".xml",   ".html",        ".htm",
        ".ini",    ".py",  ".parquet", ".arrow", ".feather",     ".pkl",
        ".pickle", ".npy", ".npz",     ".pt",    ".safetensors", ".xlsx",
        ".xls",    ".ods", ".zip",     ".gz",    ".zst",         ".bz2",
        ".xz",     ".tar", ".db",      ".png",   ".jpg",         ".pdf",
        ".docx"}) {
    if (ending == other) refuse(path, cat("files ", other, " are not read"));
  }
}

Format format_of(const std::string& ending) {
  if (ending == ".jsonl" || ending == ".ndjson") return Format::lines_of_json;
  if (ending == ".json") return Format::json;
  const bool table = ending == ".csv" || ending == ".tsv" || ending == ".tab";
  return table ? Format::table : Format::text;
}

/** Lines that are not empty, without surrounding space; "\n", "\r\n" and "\r"
 * end them. */
std::vector<Line> lines_of(const std::string& text) {
  std::vector<Line> lines;
  int64_t number = 0;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find_first_of("\r\n", start), text.size());
    ++number;
    std::string line = trimmed(text.substr(start, end - start));
    if (!line.empty()) lines.push_back({number, std::move(line)});
    start = end + (text.compare(end, 2, "\r\n") == 0 ? 2 : 1);
  }
  return lines;
}

/** Whether it is JSON, begins like JSON, or is a list as Python writes it; not
 * "[V] dog", "[cat|dog]" or "{red|blue} circle". */
bool is_bracketed(const std::string& line) {
  if (line[0] != '[' && line[0] != '{') return false;
  const size_t next = line.find_first_not_of(" \t", 1);
  return next == std::string::npos ||
         std::string_view("\"'[{").find(line[next]) != std::string::npos ||
         nlohmann::json::accept(line);
}

/** Refuses lines that are something else than a prompt each. */
void check_lines_of_text(const std::string& path,
                         const std::vector<Line>& lines) {
  const std::string& first = lines[0].text;
  if (is_bracketed(first)) {
    refuse(path,
           "its first line looks like JSON, and each line would be a "
           "prompt as it stands; name it .json or .jsonl");
  }
  for (const char* start : {"<?xml", "<!", "<html", "---", "%YAML"}) {
    if (first.starts_with(start)) {
      refuse(path, "its first line looks like XML, HTML or YAML");
    }
  }
  if (names_columns(first)) {
    refuse(path,
           "its first line looks like a table's column names; name it "
           ".csv or .tsv");
  }
  const auto all_begin = [&](const char* with) {
    return std::all_of(lines.begin(), lines.end(), [&](const Line& line) {
      return line.text.starts_with(with);
    });
  };
  if (all_begin("- ") || all_begin("* ")) {
    refuse(path,
           "every line begins with a bullet, which would be part of its "
           "prompt; take the bullets off");
  }
}

/** A label, which may be a number; none where it is missing or Python's NaN. */
std::string label_at(const JsonFields& fields, const std::string& key) {
  if (fields.value(key).is_number()) return fields.value(key).dump();
  std::string label;
  fields.text(key, label);
  return label == "NaN" ? "" : trimmed(label);
}

/** Prompts have no negative prompt of their own; to drop one in silence would
 * train on other pictures than the file describes. */
void refuse_negative(const std::string& where, const std::string& negative) {
  const std::string text = trimmed(negative);
  RSM_CHECK(text.empty(), where, ": the negative prompt \"", shown(text),
            "\" is this prompt's own, and a run has one for all: take it out "
            "of the file, and give the one as sampling.negative_prompt or, to "
            "sample and evaluate, --negative");
}

/** What an object says beside what prompts have a place for: all of it, since
 * judges know it by its own names; none where that is nothing. */
std::string metadata_of(const nlohmann::json& object) {
  const auto known = object.count("prompt") + object.count("category");
  return object.size() > known ? json_line(object) : "";
}

Prompt prompt_of(const nlohmann::json& value, const std::string& where) {
  Prompt prompt;
  if (value.is_string()) {
    prompt.text = value.get<std::string>();
  } else {
    RSM_CHECK(value.is_object(), where, ": JSON of type ", value.type_name(),
              "; a text, or an object with \"prompt\" is needed");
    const JsonFields fields(value, where, JsonFields::Null::is_missing);
    fields.text("prompt", prompt.text);
    prompt.category = label_at(fields, "category");
    if (prompt.category.empty()) prompt.category = label_at(fields, "tag");
    for (const char* key : {"negative_prompt", "negative"}) {
      if (!fields.value(key).is_string()) continue;  // a label, a number
      refuse_negative(where, fields.text(key));
    }
    prompt.metadata = metadata_of(value);
  }
  prompt.text = trimmed(prompt.text);
  RSM_CHECK(!prompt.text.empty(), where,
            ": there is no \"prompt\" or it is empty; give it a text");
  return prompt;
}

Prompts from_lines_of_json(const std::string& path,
                           const std::vector<Line>& lines) {
  Prompts prompts;
  for (const auto& line : lines) {
    const std::string place = cat("[prompts] ", path, ":", line.number);
    const auto value = parse_json(place, quote_python_numbers(line.text));
    prompts.push_back(prompt_of(value, place));
  }
  return prompts;
}

Prompts from_json(const std::string& path, const std::string& text,
                  const std::vector<Line>& lines) {
  // Data sets of JSON lines are often called .json.
  const char first = lines[0].text[0];
  if (lines.size() > 1 && (first == '{' || first == '"') &&
      nlohmann::json::accept(lines[0].text)) {
    return from_lines_of_json(path, lines);
  }
  const auto list = parse_json("[prompts] " + path, quote_python_numbers(text));
  if (!list.is_array()) {
    refuse(path, cat("holds one JSON ", list.type_name(),
                     "; a list of texts, or of objects with \"prompt\", is "
                     "needed"));
  }
  Prompts prompts;
  for (size_t i = 0; i < list.size(); ++i) {
    prompts.push_back(
        prompt_of(list[i], cat("[prompts] ", path, ": item ", i + 1)));
  }
  return prompts;
}

Prompts from_table(const std::string& path, const std::string& text) {
  Prompts prompts;
  for (const auto& row : read_prompt_table(path, text)) {
    const std::string where = cat("[prompts] ", path, ":", row.line);
    Prompt prompt;
    prompt.text = trimmed(row.prompt);
    prompt.category = trimmed(row.category);
    RSM_CHECK(!prompt.text.empty(), where,
              ": the prompt is empty; give it a text");
    refuse_negative(where, row.negative);
    prompts.push_back(prompt);
  }
  return prompts;
}

Prompts from_text(const std::string& path, const std::vector<Line>& lines) {
  if (!lines.empty()) check_lines_of_text(path, lines);
  Prompts prompts;
  for (const auto& line : lines) prompts.push_back({0, line.text, ""});
  return prompts;
}

}  // namespace

Prompts read_prompt_file(const std::string& path) {
  const std::string ending =
      lower(std::filesystem::path(path).extension().string());
  std::string bytes = read_file(path, kMostBytes);
  check_readable(path, ending, bytes);
  const std::string text = plain_text("prompts", path, std::move(bytes));
  const auto lines = lines_of(text);
  Prompts prompts;
  if (!lines.empty()) {
    switch (format_of(ending)) {
      case Format::text:
        prompts = from_text(path, lines);
        break;
      case Format::lines_of_json:
        prompts = from_lines_of_json(path, lines);
        break;
      case Format::json:
        prompts = from_json(path, text, lines);
        break;
      case Format::table:
        prompts = from_table(path, text);
        break;
    }
  }
  RSM_CHECK(!prompts.empty(), "[prompts] ", path,
            " has no prompt; write at least one");
  for (int64_t i = 0; i < std::ssize(prompts); ++i) prompts[i].id = i;
  return prompts;
}

}  // namespace rsm
