#include "rsm/compare/comparison_page.h"

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_data.h"
#include "rsm/compare/comparison_tables.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/report/report_parts.h"

namespace rsm::report {
namespace {

/** What a comparison needs beyond a report's style. */
constexpr const char* kNotesStyle = R"css(
.notes { color: var(--muted); font-size: .86rem; margin-top: 14px; }
)css";

std::string head_html(const std::vector<std::string>& head) {
  std::string out = "<tr>";
  for (const auto& text : head) {
    out += "<th scope=\"col\">" + escape_html(text) + "</th>";
  }
  return out + "</tr>\n";
}

/** `mark` stands before the row's name. */
std::string row_html(const std::vector<std::string>& row,
                     const std::string& mark) {
  std::string out = "<tr><th scope=\"row\">" + mark + escape_html(row[0]);
  out += "</th>";
  for (size_t i = 1; i < row.size(); ++i) {
    out += "<td>" + escape_html(row[i]) + "</td>";
  }
  return out + "</tr>\n";
}

/** A piece of the setting's line. */
std::string line_mark(size_t setting) {
  static const char* kMarks[] = {"━", "╍", "┉"};
  return cat("<span class=\"c", color_of(setting), "\">",
             kMarks[dash_of(setting)], "</span> ");
}

enum class Rows { settings, runs };

std::string table_html(const TextTable& table, Rows rows = Rows::settings) {
  if (table.rows.empty()) return "";
  std::string body;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    body += row_html(table.rows[i], rows == Rows::settings ? line_mark(i) : "");
  }
  return "<div class=\"scroll\"><table class=\"numbers\">\n<thead>" +
         head_html(table.head) + "</thead>\n<tbody>\n" + body +
         "</tbody></table></div>\n";
}

std::string part(const std::string& title, const std::string& content) {
  if (content.empty()) return "";
  return "<section><h2>" + escape_html(title) + "</h2>\n" + content +
         "</section>\n";
}

std::string fold(const std::string& title, const std::string& content) {
  if (content.empty()) return "";
  return "<details><summary>" + escape_html(title) + "</summary>\n" + content +
         "</details>\n";
}

std::string list_html(const std::vector<std::string>& items) {
  std::string out = "<ul>\n";
  for (const auto& item : items) out += "<li>" + escape_html(item) + "</li>\n";
  return out + "</ul>\n";
}

std::string header_html(const Comparison& comparison) {
  std::string out = "<header class=\"same\">\n<h1>" +
                    escape_html(size_text(comparison)) + "</h1>\n";
  for (const auto& line : headlines(comparison, page_signs())) {
    out += "<p class=\"headline\">" + escape_html(line) + "</p>\n";
  }
  if (!comparison.warnings.empty()) {
    out += "<div class=\"warnings\"><strong>Warnings</strong>\n" +
           list_html(comparison.warnings) + "</div>\n";
  }
  return out + "</header>\n";
}

std::string figures_html(const std::vector<ComparisonFigure>& figures) {
  std::string out;
  for (const auto& one : figures) out += figure(one.title, one.svg, one.note);
  return out.empty() ? "" : "<div class=\"plots\">\n" + out + "</div>\n";
}

/** An SVG that is a file of its own: with its namespace, on white. */
std::string standing_alone(const std::string& svg) {
  const std::string open = "<svg";
  return open +
         " xmlns=\"http://www.w3.org/2000/svg\" style=\"background:#fff\"" +
         svg.substr(open.size()) + "\n";
}

}  // namespace

std::string comparison_html(const Comparison& comparison) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
         "<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\">\n<title>" +
         escape_html("Comparison: " + size_text(comparison)) +
         "</title>\n<style>" + report_style() + kNotesStyle +
         "</style>\n</head>\n<body>\n<main>\n" + header_html(comparison) +
         part("Before and after",
              table_html(result_table(comparison, page_signs()))) +
         part("How soon", table_html(target_table(comparison, page_signs()))) +
         part("What it took",
              table_html(cost_table(comparison, page_signs()))) +
         part("Curves", figures_html(comparison_figures(comparison))) +
         part("Details",
              fold("Every run", table_html(run_table(comparison, page_signs()),
                                           Rows::runs)) +
                  fold("Where the settings differ",
                       table_html(setting_table(comparison))) +
                  "<div class=\"notes\">" +
                  list_html(reading_notes(comparison, page_signs())) +
                  "</div>\n") +
         "</main>\n</body>\n</html>\n";
}

std::vector<std::string> write_comparison(const Comparison& comparison,
                                          const std::string& folder) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  RSM_CHECK(!failed, "[compare] cannot make the folder ", folder, ": ",
            failed.message(), "; name another with --output");
  std::vector<std::string> written;
  const auto write = [&](const std::string& name, const std::string& bytes) {
    written.push_back((std::filesystem::path(folder) / name).string());
    write_file_atomic(written.back(), bytes);
  };
  write("compare.html", comparison_html(comparison));
  write("compare.csv", settings_csv(comparison));
  write("curves.csv", curves_csv(comparison));
  for (const auto& figure : comparison_figures(comparison)) {
    write(figure.file, standing_alone(figure.svg));
  }
  return written;
}

}  // namespace rsm::report
