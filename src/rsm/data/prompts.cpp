#include "rsm/data/prompts.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "rsm/base/error.h"
#include "rsm/base/random.h"
#include "rsm/data/prompt_files.h"
#include "rsm/io/files.h"
#include "rsm/worlds/shapes_world.h"

namespace rsm {
namespace {

constexpr const char* kShapesPrefix = "shapes:";

Prompts load_shapes(const std::string& split) {
  static const std::map<std::string, shapes::Split> splits = {
      {"all", shapes::Split::all},
      {"held_out", shapes::Split::held_out},
      {"train", shapes::Split::train}};
  const auto found = splits.find(split);
  if (found == splits.end()) {
    std::vector<std::string> known;
    for (const auto& entry : splits) {
      known.push_back(kShapesPrefix + entry.first);
    }
    throw UsageError(
        cat("[prompts] ", unknown_word(kShapesPrefix + split, known)));
  }
  return shapes::prompts_of(found->second);
}

}  // namespace

Prompts load_prompts(const std::string& what) {
  if (what.starts_with(kShapesPrefix)) {
    return load_shapes(what.substr(std::string(kShapesPrefix).size()));
  }
  if (!is_file(what)) {
    throw UsageError(cat("[prompts] \"", what,
                         "\" is no file; give a .txt, .jsonl, .json, .csv or ",
                         ".tsv file, or shapes:train, shapes:held_out or ",
                         "shapes:all"));
  }
  return read_prompt_file(what);
}

std::map<int64_t, std::vector<int64_t>> places_by_prompt(
    const Prompts& prompts) {
  std::map<int64_t, std::vector<int64_t>> out;
  for (size_t i = 0; i < prompts.size(); ++i) {
    out[prompts[i].id].push_back(static_cast<int64_t>(i));
  }
  return out;
}

std::vector<int64_t> epoch_prompts(uint64_t run_seed, int64_t epoch,
                                   const Prompts& prompts, int64_t count) {
  RSM_CHECK(epoch >= 0 && !prompts.empty() && count >= 0,
            "[epoch_prompts] epoch ", epoch, ", ", prompts.size(),
            " prompts, count ", count,
            "; there must be a prompt, the rest is at least 0");
  std::vector<std::string> names;
  std::map<std::string, std::vector<int64_t>> members;
  for (int64_t i = 0; i < std::ssize(prompts); ++i) {
    auto& own = members[prompts[i].category];
    if (own.empty()) {
      names.push_back(prompts[i].category);
    }
    own.push_back(i);
  }
  const auto permutation = [&](uint64_t category, uint64_t pass, int64_t size) {
    return counted_permutation(
        counted_seed(run_seed, Purpose::prompt_order,
                     {static_cast<uint64_t>(epoch), category, pass}),
        size);
  };
  // Category 0 stands for the order of the categories themselves.
  const auto turns = permutation(0, 0, std::ssize(names));
  std::vector<std::vector<int64_t>> orders(names.size());  // of current passes
  std::vector<int64_t> chosen;
  for (int64_t j = 0; j < count; ++j) {
    const int64_t category = turns[j % std::ssize(names)];
    const auto& own = members[names[category]];
    const int64_t k = j / std::ssize(names);
    const int64_t place = k % std::ssize(own);
    auto& order = orders[category];
    if (place == 0) {
      order = permutation(static_cast<uint64_t>(category) + 1,
                          static_cast<uint64_t>(k / std::ssize(own)),
                          std::ssize(own));
    }
    chosen.push_back(own[order[place]]);
  }
  return chosen;
}

}  // namespace rsm
