#include "rsm/report/page.h"

#include "rsm/plot/format.h"

namespace rsm::report {
namespace {

constexpr const char* kStyle = R"css(
:root {
  color-scheme: light dark;
  --page: #f6f7f9; --card: #ffffff; --ink: #1c1f24; --muted: #5f6672;
  --rule: #dfe3e8; --good: #00714f; --bad: #b03a00; --grey: #8a919c;
  --warn-page: #fff4e0; --warn-rule: #e0a030;
  --c1: #0072b2; --c2: #d55e00; --c3: #009e73; --c4: #b8609a; --c5: #d99400;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --card: #1d2127; --ink: #e8eaed; --muted: #a2a9b4;
    --rule: #343a43; --good: #4fd1a5; --bad: #ff9a66; --grey: #868e99;
    --warn-page: #33290f; --warn-rule: #b98a2a;
    --c1: #58b4ee; --c2: #ff8a4c; --c3: #3fcf9f; --c4: #e39ccb; --c5: #f0b840;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; padding: 20px 16px 48px; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; }
h1 { font-size: 2rem; line-height: 1.15; margin: 2px 0 6px; }
h2 { font-size: 1.2rem; margin: 36px 0 10px; }
p { margin: 4px 0; }
.name { color: var(--muted); font-size: .92rem; overflow-wrap: anywhere; }
.better h1 { color: var(--good); }
.worse h1, .suspicious h1 { color: var(--bad); }
.headline { font-size: 1.25rem; font-weight: 600; }
.facts {
  display: grid; gap: 12px; margin: 18px 0 0; padding: 0;
  grid-template-columns: repeat(auto-fit, minmax(min(45%, 190px), 1fr));
}
.facts div, figure, .card {
  background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
}
.facts div { padding: 10px 14px; }
.facts dt { color: var(--muted); font-size: .84rem; }
.facts dd { margin: 0; font-size: 1.3rem; font-weight: 600; }
.facts dd small {
  display: block; color: var(--muted);
  font-size: .8rem; font-weight: 400; line-height: 1.25;
}
.facts .bad dd { color: var(--bad); }
.warnings {
  margin: 16px 0 0; padding: 10px 16px; border-radius: 10px;
  background: var(--warn-page); border: 1px solid var(--warn-rule);
}
.warnings ul { margin: 2px 0; padding-left: 20px; }
.warnings small { color: var(--muted); }
.plots {
  display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr));
}
figure { margin: 0; padding: 12px 14px; break-inside: avoid; }
figcaption { font-weight: 600; margin-bottom: 6px; }
figcaption small { font-weight: 400; color: var(--muted); display: block; }
figure svg { display: block; width: 100%; height: auto; }
.plot { max-width: 460px; margin: 0 auto; }
.muted { fill: var(--muted); } .ink { fill: var(--ink); }
.c0 { color: var(--grey); } .c1 { color: var(--c1); } .c2 { color: var(--c2); }
.c3 { color: var(--c3); } .c4 { color: var(--c4); } .c5 { color: var(--c5); }
.store { position: absolute; }
image { image-rendering: pixelated; }
.pairs {
  display: grid; gap: 10px;
  grid-template-columns: repeat(auto-fill, minmax(min(48%, 164px), 1fr));
}
.card {
  padding: 8px 9px; display: flex; flex-direction: column;
  justify-content: space-between; break-inside: avoid;
}
.card p { font-size: .86rem; line-height: 1.3; margin: 0 0 6px; }
.card > div { display: grid; grid-template-columns: 1fr 1fr; gap: 7px; }
.tile { font-size: .78rem; color: var(--muted); text-align: center; }
.tile svg { display: block; width: 100%; height: auto; border-radius: 4px; }
.tile b { font-size: 1rem; line-height: 1; }
.strip th, .strip td { border: 0; padding: 0 6px 6px 0; }
.strip tbody th {
  color: var(--ink); white-space: normal; min-width: 9em; max-width: 14em;
  vertical-align: middle; font-size: .86rem; line-height: 1.3;
}
.strip td { min-width: 64px; width: 128px; }
.strip .tile { display: block; }
.strip thead th { text-align: center; }
.right { color: var(--good); } .wrong { color: var(--bad); }
details { margin: 12px 0; }
summary { cursor: pointer; font-weight: 600; }
details > :not(summary) { margin-top: 10px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td {
  text-align: left; padding: 4px 18px 4px 0; vertical-align: top;
  border-bottom: 1px solid var(--rule); overflow-wrap: anywhere;
}
th { font-weight: 400; color: var(--muted); white-space: nowrap; }
.numbers td, .numbers thead th { text-align: right; white-space: nowrap; }
.numbers td { font-variant-numeric: tabular-nums; }
.numbers th:first-child { text-align: left; }
.numbers tbody th { color: var(--ink); white-space: normal; min-width: 9em; }
.notes { color: var(--muted); font-size: .86rem; margin-top: 14px; }
.numbers + .plots, .scroll + .plots { margin-top: 14px; }
pre {
  background: var(--card); border: 1px solid var(--rule); border-radius: 10px;
  padding: 12px; overflow-x: auto; font-size: .84rem;
}
@media print {
  body { background: none; padding: 0; font-size: 11pt;
    print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  pre { white-space: pre-wrap; }
  h2, summary { break-after: avoid; }
  .more { display: none; }
  details::details-content { content-visibility: visible; height: auto; }
}
)css";

}  // namespace

std::string html_page(const std::string& title, const std::string& content) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
         "<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, "
         "initial-scale=1\">\n<title>" +
         escape_html(title) + "</title>\n<style>" + kStyle +
         "</style>\n</head>\n<body>\n<main>\n" + content +
         "</main>\n</body>\n</html>\n";
}

std::string section(const std::string& title, const std::string& content,
                    const std::string& intro) {
  if (content.empty()) return "";
  return "<section>\n<h2>" + escape_html(title) + "</h2>\n" +
         (intro.empty() ? "" : "<p>" + escape_html(intro) + "</p>\n") +
         content + "</section>\n";
}

std::string folded(const std::string& title, const std::string& content) {
  if (content.empty()) return "";
  return "<details><summary>" + escape_html(title) + "</summary>\n" + content +
         "</details>\n";
}

std::string figure(const std::string& title, const std::string& plot,
                   const std::string& note) {
  if (plot.empty()) return "";
  return "<figure><figcaption>" + escape_html(title) +
         (note.empty() ? "" : " <small>" + escape_html(note) + "</small>") +
         "</figcaption>" + plot + "</figure>\n";
}

std::string plots(const std::string& figures) {
  if (figures.empty()) return "";
  return "<div class=\"plots\">\n" + figures + "</div>\n";
}

std::string text_list(const std::vector<std::string>& items) {
  if (items.empty()) return "";
  std::string out = "<ul>\n";
  for (const auto& item : items) out += "<li>" + escape_html(item) + "</li>\n";
  return out + "</ul>\n";
}

}  // namespace rsm::report
