#pragma once

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

/** What tests of HTML and SVG share; no part of the library includes this. */
namespace rsm::report {

/** "" where every element of an HTML or SVG text is closed in order and no
 * attribute or text has a stray '<'; otherwise the place. */
inline std::string tag_problem(const std::string& text) {
  static const std::set<std::string> kEmpty = {"meta", "br", "img", "hr"};
  std::vector<std::string> open;
  for (size_t at = text.find('<'); at != std::string::npos;
       at = text.find('<', at + 1)) {
    if (text.compare(at, 9, "<!DOCTYPE") == 0) continue;
    const size_t end = text.find('>', at);
    const std::string tag = text.substr(at + 1, end - at - 1);
    const std::string near = text.substr(at, 60);
    if (end == std::string::npos || tag.empty()) return "not closed: " + near;
    if (tag.find('<') != std::string::npos) return "stray '<': " + near;
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) {
      return "stray quote: " + near;
    }
    if (tag.back() == '/') continue;
    if (tag.front() == '/') {
      if (open.empty() || open.back() != tag.substr(1)) {
        return "closes nothing: " + near;
      }
      open.pop_back();
      continue;
    }
    const std::string name = tag.substr(0, tag.find_first_of(" \n"));
    if (kEmpty.count(name) == 0) open.push_back(name);
  }
  return open.empty() ? "" : "left open: " + open.back();
}

/** How often `part` occurs. */
inline int64_t occurrences(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos;
       at = text.find(part, at + part.size())) {
    ++count;
  }
  return count;
}

}  // namespace rsm::report
