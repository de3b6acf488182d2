#include "rsm/report/report.h"

#include <cmath>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/plot/text_table.h"
#include "rsm/report/page.h"
#include "rsm/report/report_parts.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {
namespace {

/** More different warnings than this are folded away. */
constexpr size_t kMostWarnings = 5;

/** How the page's head looks; signs need no colour to be read. */
struct VerdictStyle {
  const char* name = "same";  ///< of the style sheet
  const char* sign = "";
};

VerdictStyle style_of(RunSummary::Verdict verdict) {
  switch (verdict) {
    case RunSummary::Verdict::better:
      return {"better", "▲ "};
    case RunSummary::Verdict::worse:
      return {"worse", "▼ "};
    case RunSummary::Verdict::suspicious:
      return {"suspicious", "⚠ "};
    case RunSummary::Verdict::same:
    case RunSummary::Verdict::unclaimed:
    case RunSummary::Verdict::unknown:
      break;
  }
  return {};
}

std::string fact(const std::string& name, const std::string& value,
                 const std::string& note, bool bad = false) {
  return "<div" + std::string(bad ? " class=\"bad\"" : "") + "><dt>" +
         escape_html(name) + "</dt><dd>" + escape_html(value) + " <small>" +
         escape_html(note) + "</small></dd></div>\n";
}

std::string key_facts(const RunRecord& record, const RunSummary& summary) {
  std::string out;
  for (const auto& [name, ratio, bad] : watched_of(summary)) {
    out += fact(name == "diversity" ? "Diversity of a prompt's pictures" : name,
                format_fixed(ratio, 2) + "×",
                cat("what it was", bad ? ": look at the pictures" : ""), bad);
  }
  if (std::isfinite(summary.drift)) {
    out += fact("Drift from the base model", format_short(summary.drift),
                "KL per latent element");
  }
  if (record.epochs.empty()) return out;
  const auto& last = record.epochs.back();
  if (std::isfinite(last.number("wall_s"))) {
    out += fact("Time", format_duration(last.number("wall_s")),
                cat("for ", summary.epoch, " epochs"));
  }
  constexpr double kMost = 9e15;  // beyond, a double counts nothing
  const double images = last.number("images");
  if (images >= 0 && images < kMost) {
    out += fact("Training pictures", format_count(std::llround(images)),
                "sampled");
  }
  return out;
}

std::string warnings_html(const RunSummary& summary) {
  std::vector<std::string> shown, rest;
  // The summary's own, which come last, weigh most.
  for (size_t i = summary.warnings.size(); i-- > 0;) {
    (shown.size() < kMostWarnings ? shown : rest)
        .push_back(warning_text(summary.warnings[i]));
  }
  if (shown.empty()) return "";
  return "<div class=\"warnings\"><strong>Warnings</strong>\n" +
         text_list(shown) + folded("More warnings", text_list(rest)) +
         "</div>\n";
}

std::string header_html(const RunRecord& record, const RunSummary& summary) {
  const std::vector<std::string> names = {
      record.name, record.method, record.model,
      summary.finished ? "finished" : cat("unfinished: epoch ", summary.epoch)};
  const auto style = style_of(summary.verdict);
  std::string out =
      "<header class=\"" + std::string(style.name) + "\">\n<p class=\"name\">" +
      escape_html(join(names, " · ")) + "</p>\n<h1>" + style.sign +
      escape_html(verdict_text(summary)) + "</h1>\n<p class=\"headline\">" +
      escape_html(headline(summary)) + "</p>\n";
  for (const auto& words :
       {category_sentence(summary), price_sentence(summary)}) {
    if (!words.empty()) out += "<p>" + escape_html(words) + "</p>\n";
  }
  if (const auto facts = key_facts(record, summary); !facts.empty()) {
    out += "<dl class=\"facts\">\n" + facts + "</dl>\n";
  }
  return out + warnings_html(summary) + "</header>\n";
}

/** The config's method and how it samples, by their keys. */
RunRecord::Facts knobs_of(const RunRecord& record) {
  RunRecord::Facts out;
  for (const auto& [key, value] : record.config) {
    if (key.starts_with("method.") || key.starts_with("sampling.")) {
      out.push_back({key, value});
    }
  }
  return out;
}

std::string details_html(const RunRecord& record) {
  const auto list = [](const RunRecord::Facts& facts) {
    return table_html({{}, facts});
  };
  return list(record.facts) +
         folded("Training curves", plots(health_figures(record))) +
         folded("The method's knobs", list(knobs_of(record))) +
         folded("Resolved config",
                "<pre>" + escape_html(record.config_text) + "</pre>\n") +
         folded("Versions", list(record.versions));
}

}  // namespace

std::string report_html(const RunRecord& record) {
  const auto summary = summarise(record);
  return html_page(
      record.name + ": " + verdict_text(summary),
      header_html(record, summary) +
          section("Before and after", samples_html(record)) +
          section("Over training", strip_html(record)) +
          section("What changed", plots(result_figures(record, summary))) +
          section("How it got there", plots(curve_figures(record, summary))) +
          section("Each reward alone", reward_figures(record, summary),
                  "Means over the pictures of training. Correlations are "
                  "within groups, of what a reward adds: to the trained total, "
                  "and to what the others add; they and its share of the "
                  "total's square are means over epochs.") +
          section("Is it still the same model?",
                  table_html(metric_table(summary)) +
                      plots(safety_figures(record))) +
          section("Where along the way it learns", plots(step_figures(record)),
                  record.method_summary) +
          section("Details", details_html(record)));
}

void write_report(const std::string& folder) {
  const auto page = report_html(read_run(folder));
  write_file_atomic((std::filesystem::path(folder) / "report.html").string(),
                    page);
}

}  // namespace rsm::report
