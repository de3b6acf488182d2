#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rsm {

/** A caption to draw. `id` is its place in its data set and counts its random
 * numbers; `category` groups it in reports (may be empty); `metadata` is what
 * else its data set says of it, which judges outside this program are sent: a
 * JSON object on one line, or empty. */
struct Prompt {
  int64_t id = 0;
  std::string text;
  std::string category;
  std::string metadata = {};
};

using Prompts = std::vector<Prompt>;

inline std::vector<std::string> texts_of(const Prompts& prompts) {
  std::vector<std::string> texts;
  for (const auto& prompt : prompts) {
    texts.push_back(prompt.text);
  }
  return texts;
}

}  // namespace rsm
