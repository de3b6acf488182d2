#pragma once

#include <string>

namespace rsm::report {

/** An SVG that is a file of its own: with its namespace, on white. */
inline std::string standing_alone(const std::string& svg) {
  const std::string open = "<svg";
  return open +
         " xmlns=\"http://www.w3.org/2000/svg\" style=\"background:#fff\"" +
         svg.substr(open.size()) + "\n";
}

}  // namespace rsm::report
