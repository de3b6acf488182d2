#include "rsm/report/report.h"

#include <cmath>
#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/plot/format.h"
#include "rsm/report/report_parts.h"
#include "rsm/report/run_summary.h"

namespace rsm::report {
namespace {

/** More different warnings than this are folded away. */
constexpr size_t kMostWarnings = 5;

std::string section(const std::string& title, const std::string& content,
                    const std::string& intro = "") {
  if (content.empty()) return "";
  return "<section>\n<h2>" + escape_html(title) + "</h2>\n" +
         (intro.empty() ? "" : "<p>" + escape_html(intro) + "</p>\n") +
         content + "</section>\n";
}

std::string plots(const std::string& figures) {
  if (figures.empty()) return "";
  return "<div class=\"plots\">\n" + figures + "</div>\n";
}

std::string folded(const std::string& title, const std::string& content) {
  return content.empty() ? ""
                         : "<details><summary>" + escape_html(title) +
                               "</summary>\n" + content + "</details>\n";
}

std::string table(const RunRecord::Facts& facts) {
  if (facts.empty()) return "";
  std::string out = "<div class=\"scroll\"><table>\n";
  for (const auto& [name, value] : facts) {
    out += "<tr><th scope=\"row\">" + escape_html(name) + "</th><td>" +
           escape_html(value) + "</td></tr>\n";
  }
  return out + "</table></div>\n";
}

const char* verdict_class(RunSummary::Verdict verdict) {
  switch (verdict) {
    case RunSummary::Verdict::better:
      return "better";
    case RunSummary::Verdict::worse:
      return "worse";
    case RunSummary::Verdict::suspicious:
      return "suspicious";
    case RunSummary::Verdict::same:
    case RunSummary::Verdict::unclaimed:
    case RunSummary::Verdict::unknown:
      break;
  }
  return "same";
}

/** A sign that needs no colour to be read. */
std::string verdict_sign(RunSummary::Verdict verdict) {
  switch (verdict) {
    case RunSummary::Verdict::better:
      return "\xe2\x96\xb2 ";
    case RunSummary::Verdict::worse:
      return "\xe2\x96\xbc ";
    case RunSummary::Verdict::suspicious:
      return "\xe2\x9a\xa0 ";
    case RunSummary::Verdict::same:
    case RunSummary::Verdict::unclaimed:
    case RunSummary::Verdict::unknown:
      break;
  }
  return "";
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
                format_fixed(ratio, 2) + page_signs().times,
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
  if (summary.warnings.empty()) return "";
  std::string shown, rest;
  for (size_t i = 0; i < summary.warnings.size(); ++i) {
    // The summary's own, which come last, weigh most.
    const auto& warning = summary.warnings[summary.warnings.size() - 1 - i];
    const auto epochs = epochs_text(warning);
    const auto line =
        "<li>" + escape_html(warning.text) +
        (epochs.empty() ? "" : " <small>(" + epochs + ")</small>");
    (i < kMostWarnings ? shown : rest) += line + "</li>\n";
  }
  return "<div class=\"warnings\"><strong>Warnings</strong>\n<ul>\n" + shown +
         "</ul>\n" +
         folded("More warnings", rest.empty() ? "" : "<ul>" + rest + "</ul>") +
         "</div>\n";
}

std::string header_html(const RunRecord& record, const RunSummary& summary) {
  std::vector<std::string> names = {record.name};
  for (const auto& name : {record.method, record.model}) {
    if (!name.empty()) names.push_back(name);
  }
  names.push_back(summary.finished ? "finished"
                                   : cat("unfinished: epoch ", summary.epoch));
  std::string out =
      "<header class=\"" + std::string(verdict_class(summary.verdict)) +
      "\">\n<p class=\"name\">" + escape_html(join(names, " \xc2\xb7 ")) +
      "</p>\n<h1>" + verdict_sign(summary.verdict) +
      escape_html(verdict_text(summary)) + "</h1>\n<p class=\"headline\">" +
      escape_html(headline(summary, page_signs())) + "</p>\n";
  for (const auto& words : {category_sentence(summary, page_signs()),
                            price_sentence(summary, page_signs())}) {
    if (!words.empty()) out += "<p>" + escape_html(words) + "</p>\n";
  }
  if (const auto facts = key_facts(record, summary); !facts.empty()) {
    out += "<dl class=\"facts\">\n" + facts + "</dl>\n";
  }
  return out + warnings_html(summary) + "</header>\n";
}

/** Every metric side by side with the trained one. */
std::string metrics_table(const RunSummary& summary) {
  if (summary.verdict == RunSummary::Verdict::unknown) return "";
  std::string out =
      "<div class=\"scroll\"><table class=\"numbers\">\n<thead><tr><th>metric"
      "</th><th>before</th><th>after</th><th>change</th><th></th></tr></thead>"
      "\n<tbody>\n";
  const auto cell = [](const std::string& text) {
    return "<td>" + escape_html(text) + "</td>";
  };
  for (const auto& [name, images, change] : summary.metrics) {
    const bool trained = name == kTrainedMetric;
    out += "<tr><th scope=\"row\">" + escape_html(name) +
           (trained ? " <small>trained</small>" : "") + "</th>" +
           cell(format_short(change.before)) +
           cell(format_short(change.after)) +
           cell(gain_text(change, page_signs())) +
           cell(change_word(change, summary.metrics.size())) + "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string details_html(const RunRecord& record) {
  std::string config;
  if (!record.config.empty()) {
    config = "<pre>" + escape_html(record.config) + "</pre>\n";
  }
  return table(record.facts) +
         folded("Training curves", plots(health_figures(record))) +
         folded("The method's knobs", table(record.knobs)) +
         folded("Resolved config", config) +
         folded("Versions", table(record.versions));
}

}  // namespace

std::string report_html(const RunRecord& record) {
  const auto summary = summarise(record);
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
         "<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\">\n<title>" +
         escape_html(record.name + ": " + verdict_text(summary)) +
         "</title>\n<style>" + report_style() +
         "</style>\n</head>\n<body>\n<main>\n" + header_html(record, summary) +
         section("Before and after", samples_html(record)) +
         section("What changed", plots(result_figures(record, summary))) +
         section("How it got there", plots(curve_figures(record, summary))) +
         section("Is it still the same model?",
                 metrics_table(summary) + plots(safety_figures(record))) +
         section("Where along the way it learns", plots(step_figures(record)),
                 record.method_summary) +
         section("Details", details_html(record)) +
         "</main>\n</body>\n</html>\n";
}

void write_report(const std::string& folder) {
  const auto page = report_html(read_run(folder));
  write_file_atomic((std::filesystem::path(folder) / "report.html").string(),
                    page);
}

}  // namespace rsm::report
