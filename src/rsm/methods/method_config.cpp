#include "rsm/methods/method_config.h"

#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

/** No knob comes near; float32 still holds it. */
constexpr double kLargest = 1e30;
constexpr int64_t kMostBranches = 10000;
constexpr int64_t kMostEpochs = 1000000000;
constexpr int64_t kMostBuffered = 1000000;  // rewards of a prompt
constexpr int64_t kMostSteps = 1000;        // of a sampler

template <typename Enum>
void read_word(const Config& section, const std::string& key, Enum& value) {
  value = parse<Enum>(section.choice(key, to_string(value), words<Enum>()));
}

void read_tree(const Config& section, TreeKnobs& knobs) {
  knobs.split_steps =
      section.integers("split_steps", knobs.split_steps, 0, kMostSteps);
  knobs.children = section.integer("children", knobs.children, 2, 64);
  knobs.split_noise =
      section.real("split_noise", knobs.split_noise, 1e-6, kLargest);
  knobs.sde_steps =
      section.integers("sde_steps", knobs.sde_steps, 0, kMostSteps);
  knobs.keep_leaves = section.real("keep_leaves", knobs.keep_leaves, 0, 1);
  read_word(section, "keep", knobs.keep);
  knobs.skip_steps =
      section.integers("skip_steps", knobs.skip_steps, 0, kMostSteps);
  knobs.slide_every =
      section.integer("slide_every", knobs.slide_every, 0, kMostEpochs);
  knobs.slide_stop =
      section.integer("slide_stop", knobs.slide_stop, 0, kMostSteps);
}

/** A profile, or a list of one's own in its place. */
void read_branches(const Config& section, EstimatorKnobs& knobs,
                   int64_t steps) {
  if (section.has("branches") && !section.has("profile")) {
    knobs.branches =
        section.integers("branches", knobs.branches, 0, kMostBranches);
    knobs.profile.clear();
  } else {
    knobs.profile = section.choice(
        "profile", knobs.profile.empty() ? "base" : knobs.profile,
        branch_profiles());
    section.check("profile", [&] {
      knobs.branches = branch_profile(knobs.profile, steps);
    });
  }
}

void read_estimator(const Config& section, EstimatorKnobs& knobs,
                    int64_t steps) {
  const auto before = knobs.source;
  read_word(section, "source", knobs.source);
  if (knobs.source != before) {  // what the entry said of the other source
    knobs.branches.clear();
    knobs.profile.clear();
    knobs.tree = {};
  }
  read_word(section, "grouping", knobs.grouping);
  read_word(section, "baseline", knobs.baseline);
  read_word(section, "spread", knobs.spread);
  read_word(section, "combine", knobs.combine);
  if (section.is_wrong("source") || section.is_wrong("baseline")) {
    section.allow_any_key();
  }
  knobs.spread_offset =
      section.real("spread_offset", knobs.spread_offset, 0, kLargest);
  knobs.unbiased_spread =
      section.flag("unbiased_spread", knobs.unbiased_spread);
  knobs.shared_start = section.flag("shared_start", knobs.shared_start);
  if (knobs.baseline == EstimatorKnobs::Baseline::running) {
    knobs.buffer_size =
        section.integer("buffer_size", knobs.buffer_size, 2, kMostBuffered);
    knobs.buffer_least =
        section.integer("buffer_least", knobs.buffer_least, 2, kMostBuffered);
  }
  if (knobs.source == EstimatorKnobs::Source::branches) {
    read_branches(section, knobs, steps);
  } else if (section.has("branches")) {  // [] where another source overrides
    knobs.branches = section.integers("branches", {}, 0, kMostBranches);
  }
  if (knobs.source == EstimatorKnobs::Source::tree) {
    fit_splits(knobs, steps);
    const auto tree = section.section("tree");
    if (tree.has("split_steps")) knobs.profile.clear();
    read_tree(tree, knobs.tree);
  }
}

void read_regularisation(const Config& section, RegularisationKnobs& knobs) {
  knobs.beta = section.real("beta", knobs.beta, 0, kLargest);
  read_word(section, "kl_form", knobs.kl_form);
  knobs.pull_rows = section.flag("pull_rows", knobs.pull_rows);
  knobs.anchors = section.flag("anchors", knobs.anchors);
  knobs.anchor_share =
      section.real("anchor_share", knobs.anchor_share, 0, kLargest);
  read_word(section, "importance", knobs.importance);
  read_word(section, "clip_in", knobs.clip_in);
  knobs.clip_range = section.real("clip_range", knobs.clip_range, 0, kLargest);
  knobs.advantage_clip =
      section.real("advantage_clip", knobs.advantage_clip, 0, kLargest);
  read_word(section, "mask", knobs.mask);
}

}  // namespace

Method read_method(const Config& section, int64_t steps,
                   std::optional<Family> family,
                   std::vector<std::string>* warnings) {
  std::vector<std::string> known;
  for (const auto& entry : catalogue()) {
    known.push_back(entry.name);
  }
  const bool own = section.has("from");
  const std::string key = own ? "from" : "name";
  const std::string name = section.choice(key, default_method(family), known);
  const bool as_published = section.flag("as_published", false);
  const Method entry = find_method(name, as_published);
  Method method = for_family(entry, family);
  if (section.is_wrong(key)) {  // the knobs read are those of another entry
    section.section("estimator").allow_any_key();
    steps = kCatalogueSteps;
  } else if (!own && family && !method.is_for(*family)) {
    section.note(key, cat(name, " is for ", to_string(method.family),
                          " models, this one is of the family ",
                          to_string(family), "; see `rsm methods`"));
  }
  const std::string replaced = replaced_sampler(entry, family);
  if (warnings != nullptr && !replaced.empty()) warnings->push_back(replaced);
  if (own) {
    method.summary = "knobs of " + name + ", changed in the config";
    method.source = "the config";
    method.name = section.text("name");
  }
  read_estimator(section.section("estimator"), method.estimator, steps);
  const auto strength = section.section("strength");
  read_word(strength, "shape", method.strength.shape);
  method.strength.scale =
      strength.real("scale", method.strength.scale, 0, kLargest);
  method.strength.scaled_residual =
      strength.flag("scaled_residual", method.strength.scaled_residual);
  read_regularisation(section.section("regularisation"), method.regularisation);
  return method;
}

namespace {

nlohmann::json to_json(const EstimatorKnobs& knobs) {
  nlohmann::json out = {{"source", to_string(knobs.source)},
                        {"grouping", to_string(knobs.grouping)},
                        {"baseline", to_string(knobs.baseline)},
                        {"spread", to_string(knobs.spread)},
                        {"combine", to_string(knobs.combine)},
                        {"spread_offset", knobs.spread_offset},
                        {"unbiased_spread", knobs.unbiased_spread},
                        {"shared_start", knobs.shared_start},
                        {"noise", to_string(knobs.noise)}};
  if (knobs.source == EstimatorKnobs::Source::branches) {
    out["branches"] = knobs.branches;
  }
  if (!knobs.profile.empty()) {
    out["profile"] = knobs.profile;
  }
  if (knobs.source == EstimatorKnobs::Source::tree) {
    out["tree"] = {{"split_steps", knobs.tree.split_steps},
                   {"children", knobs.tree.children},
                   {"split_noise", knobs.tree.split_noise},
                   {"sde_steps", knobs.tree.sde_steps},
                   {"keep_leaves", knobs.tree.keep_leaves},
                   {"keep", to_string(knobs.tree.keep)},
                   {"skip_steps", knobs.tree.skip_steps},
                   {"slide_every", knobs.tree.slide_every},
                   {"slide_stop", knobs.tree.slide_stop}};
  }
  if (knobs.baseline == EstimatorKnobs::Baseline::running) {
    out["buffer_size"] = knobs.buffer_size;
    out["buffer_least"] = knobs.buffer_least;
  }
  return out;
}

}  // namespace

nlohmann::json to_json(const Method& m) {
  return {{"name", m.name},
          {"source", m.source},
          {"summary", m.summary},
          {"as_published", m.as_published},
          {"family", to_string(m.family)},
          {"estimator", to_json(m.estimator)},
          {"strength",
           {{"shape", to_string(m.strength.shape)},
            {"scale", m.strength.scale},
            {"scaled_residual", m.strength.scaled_residual}}},
          {"regularisation",
           {{"beta", m.regularisation.beta},
            {"kl_form", to_string(m.regularisation.kl_form)},
            {"pull_rows", m.regularisation.pull_rows},
            {"anchors", m.regularisation.anchors},
            {"anchor_share", m.regularisation.anchor_share},
            {"importance", to_string(m.regularisation.importance)},
            {"clip_in", to_string(m.regularisation.clip_in)},
            {"clip_range", m.regularisation.clip_range},
            {"advantage_clip", m.regularisation.advantage_clip},
            {"mask", to_string(m.regularisation.mask)}}}};
}

}  // namespace rsm
