#include "rsm/judges/geneval_task.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/json_fields.h"
#include "rsm/io/json_text.h"
#include "rsm/io/printable.h"

namespace rsm::geneval {
namespace {

using nlohmann::json;

constexpr int64_t kMostObjects = 1000;  // of a clause

template <typename Words>
std::vector<std::string> words_of(const Words& words) {
  return {words.begin(), words.end()};
}

/** The place of a word that is in the list. */
template <typename Words>
int place_of(const std::string& word, const Words& words) {
  return static_cast<int>(std::find(words.begin(), words.end(), word) -
                          words.begin());
}

int64_t kind_of(const JsonFields& fields, const std::string& name,
                const std::vector<std::string>& classes) {
  const auto found = std::find(classes.begin(), classes.end(), name);
  if (found != classes.end() && !name.empty()) return found - classes.begin();
  const auto near = nearest_word(name, classes);
  throw Error(cat(fields.where(), ": the class \"", shown(name),
                  "\" is none of the detector's ", classes.size(),
                  near.empty() ? "" : cat(" (did you mean \"", near, "\"?)"),
                  "; its list of classes has to name it as the prompts do"));
}

/** [relation, number of an earlier clause]. */
void read_position(const JsonFields& fields, size_t earlier, Clause& clause) {
  const json& value = fields.value("position");
  const auto names = words_of(kRelations);
  const bool right = value.is_array() && value.size() == 2 &&
                     value[0].is_string() &&
                     std::count(names.begin(), names.end(), value[0]) > 0 &&
                     is_integer(value[1], 0, static_cast<int64_t>(earlier) - 1);
  fields.check("position", right,
               cat("[", join(names, " | "),
                   ", the number, from 0, of an earlier clause of include]"));
  clause.relation =
      static_cast<Relation>(place_of(value[0].get<std::string>(), names));
  clause.target = value[1].get<size_t>();
}

Clause read_clause(const JsonFields& fields, size_t earlier,
                   const std::vector<std::string>& classes) {
  Clause clause;
  clause.name = fields.text("class");
  clause.kind = kind_of(fields, clause.name, classes);
  clause.count = fields.integer("count", 1, kMostObjects);
  if (fields.has("color")) {
    std::string colour;
    fields.choice("color", colour, words_of(kColours));
    clause.colour = place_of(colour, kColours);
  }
  if (fields.has("position")) read_position(fields, earlier, clause);
  return clause;
}

std::vector<Clause> read_clauses(const JsonFields& fields,
                                 const std::string& key,
                                 const std::vector<std::string>& classes) {
  const json& list = fields.value(key);
  fields.check(key, list.is_array() && !list.empty(),
               "a list of objects with \"class\" and \"count\"");
  std::vector<Clause> clauses;
  for (const json& one : list) {
    const JsonFields of_one(
        one, cat(fields.where(), ": ", key, "[", clauses.size(), "]"),
        JsonFields::Null::is_missing);
    clauses.push_back(read_clause(of_one, clauses.size(), classes));
  }
  return clauses;
}

}  // namespace

Task read_task(const std::string& who, const Prompt& prompt,
               const std::vector<std::string>& classes) {
  const std::string where =
      cat("[", who, "] the prompt \"", shown(prompt.text), "\"");
  RSM_CHECK(!prompt.metadata.empty(), where,
            " has no metadata; GenEval's tag and include have to stand beside "
            "each prompt, in JSON lines such as those of its "
            "evaluation_metadata.jsonl (docs/rewards.md)");
  const json object = parse_json(where, prompt.metadata);
  const JsonFields fields(object, where, JsonFields::Null::is_missing);
  Task task;
  task.tag = fields.text("tag");
  fields.choice("tag", task.tag, words_of(kTags));
  task.include = read_clauses(fields, "include", classes);
  if (fields.has("exclude")) {
    task.exclude = read_clauses(fields, "exclude", classes);
    for (const auto& clause : task.exclude) {
      RSM_CHECK(clause.colour == kNoColour && !clause.relation, where,
                ": exclude asks for a color or a position of ", clause.name,
                "; GenEval's rules know class and count alone there");
    }
  }
  return task;
}

}  // namespace rsm::geneval
