#include "rsm/compare/comparison_page.h"

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/compare/comparison_data.h"
#include "rsm/compare/comparison_tables.h"
#include "rsm/compare/pareto.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/plot/svg_plot.h"
#include "rsm/report/page.h"

namespace rsm::report {
namespace {

/** A piece of each setting's line, to stand before its name. */
std::vector<std::string> line_marks(const Comparison& comparison) {
  static const char* kMarks[] = {"━", "╍", "┉"};
  std::vector<std::string> out;
  for (size_t i = 0; i < comparison.settings.size(); ++i) {
    out.push_back(cat("<span class=\"c", color_of(i), "\">", kMarks[dash_of(i)],
                      "</span> "));
  }
  return out;
}

std::string header_html(const Comparison& comparison) {
  std::string out = "<header class=\"same\">\n<h1>" +
                    escape_html(size_text(comparison)) + "</h1>\n";
  for (const auto& line : headlines(comparison)) {
    out += "<p class=\"headline\">" + escape_html(line) + "</p>\n";
  }
  if (!comparison.warnings.empty()) {
    out += "<div class=\"warnings\"><strong>Warnings</strong>\n" +
           text_list(comparison.warnings) + "</div>\n";
  }
  return out + "</header>\n";
}

std::string figures_html(const Comparison& comparison) {
  std::string out;
  for (const auto& one : comparison_figures(comparison)) {
    out += figure(one.title, one.svg, one.note);
  }
  return plots(out);
}

}  // namespace

std::string comparison_html(const Comparison& comparison) {
  const auto marks = line_marks(comparison);
  const auto table = [&](const std::string& title, const TextTable& rows) {
    return section(title, table_html(rows, marks));
  };
  return html_page(
      "Comparison: " + size_text(comparison),
      header_html(comparison) +
          table("Before and after", result_table(comparison, Width::page)) +
          table("How soon", target_table(comparison, Width::page)) +
          table("What it took", cost_table(comparison)) +
          table("What nobody optimised", watch_table(comparison)) +
          section("Curves", figures_html(comparison)) +
          section("Details",
                  folded("Every run", table_html(run_table(comparison))) +
                      folded("Settings and epochs that no other beats",
                             table_html(front_table(comparison))) +
                      folded("Where the settings differ",
                             table_html(setting_table(comparison), marks)) +
                      "<div class=\"notes\">" +
                      text_list(reading_notes(comparison)) + "</div>\n"));
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
  write("pareto.csv", pareto_csv(comparison));
  for (const auto& figure : comparison_figures(comparison)) {
    write(figure.file, svg_file(figure.svg));
  }
  return written;
}

}  // namespace rsm::report
