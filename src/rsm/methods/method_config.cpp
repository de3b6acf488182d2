#include "rsm/methods/method_config.h"

#include <nlohmann/json.hpp>

#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

template <typename Enum>
void read_word(const Config& section, const std::string& key, Enum& value) {
  value = parse<Enum>(section.choice(key, to_string(value), words<Enum>()));
}

void read_estimator(const Config& section, EstimatorKnobs& knobs) {
  read_word(section, "source", knobs.source);
  read_word(section, "grouping", knobs.grouping);
  read_word(section, "spread", knobs.spread);
  if (section.has("profile")) {
    std::vector<std::string> names;
    for (const auto& [name, profile] : branch_profiles()) {
      names.push_back(name);
    }
    knobs.branches = branch_profile(section.choice("profile", "", names));
  } else {
    knobs.branches = section.integers("branches", knobs.branches, 0);
  }
}

void read_regularisation(const Config& section, RegularisationKnobs& knobs) {
  knobs.beta = section.real("beta", knobs.beta, 0);
  read_word(section, "kl_form", knobs.kl_form);
  knobs.anchors = section.flag("anchors", knobs.anchors);
  read_word(section, "importance", knobs.importance);
  read_word(section, "clip_in", knobs.clip_in);
  knobs.clip_range = section.real("clip_range", knobs.clip_range, 0);
  knobs.advantage_clip =
      section.real("advantage_clip", knobs.advantage_clip, 0);
}

}  // namespace

Method read_method(const Config& section) {
  std::vector<std::string> known;
  for (const auto& entry : catalogue()) {
    known.push_back(entry.name);
  }
  Method method;
  if (section.has("from")) {
    method = find_method(section.choice("from", known.back(), known));
    method.summary = "knobs of " + method.name + ", changed in the config";
    method.source = "the config";
    method.name = section.text("name");
  } else {
    method = find_method(section.choice("name", known.back(), known));
  }
  method.as_published = section.flag("as_published", method.as_published);
  read_estimator(section.section("estimator"), method.estimator);
  const auto strength = section.section("strength");
  read_word(strength, "shape", method.strength.shape);
  method.strength.scale = strength.real("scale", method.strength.scale, 0);
  read_regularisation(section.section("regularisation"), method.regularisation);
  return method;
}

nlohmann::json to_json(const Method& m) {
  return {
      {"name", m.name},
      {"source", m.source},
      {"summary", m.summary},
      {"as_published", m.as_published},
      {"estimator",
       {{"source", to_string(m.estimator.source)},
        {"grouping", to_string(m.estimator.grouping)},
        {"spread", to_string(m.estimator.spread)},
        {"branches", m.estimator.branches}}},
      {"strength",
       {{"shape", to_string(m.strength.shape)}, {"scale", m.strength.scale}}},
      {"regularisation",
       {{"beta", m.regularisation.beta},
        {"kl_form", to_string(m.regularisation.kl_form)},
        {"anchors", m.regularisation.anchors},
        {"importance", to_string(m.regularisation.importance)},
        {"clip_in", to_string(m.regularisation.clip_in)},
        {"clip_range", m.regularisation.clip_range},
        {"advantage_clip", m.regularisation.advantage_clip}}}};
}

}  // namespace rsm
