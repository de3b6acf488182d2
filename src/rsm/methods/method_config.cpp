#include "rsm/methods/method_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/knobs.h"
#include "rsm/methods/names.h"

namespace rsm {
namespace {

using Source = EstimatorKnobs::Source;

/** A word of `branches`, and the epochs from one choice to the next that it
 * stands for. */
constexpr const char* kAuto = "auto";
constexpr int64_t kChosenEvery = 10;

/** A visitor that takes what a section says; other knobs stay as they are. */
class KnobReader {
 public:
  explicit KnobReader(Config section) : section_(std::move(section)) {}

  template <typename Enum>
  void operator()(const char* key, Enum& knob, const char*) {
    knob = parse<Enum>(section_.choice(key, to_string(knob), words<Enum>()));
  }
  void operator()(const char* key, bool& knob, const char*) {
    knob = section_.flag(key, knob);
  }
  void operator()(const char* key, std::string& knob,
                  const std::vector<std::string>& allowed, const char*) {
    knob = section_.choice(key, knob, allowed);
  }
  void operator()(const char* key, double& knob, Range range, const char*) {
    knob = section_.real(key, knob, range.min, range.max);
    if (range.without_min && knob == range.min) {
      section_.note(key, cat("got ", knob, "; allowed: ", range.text()));
    }
  }
  void operator()(const char* key, int64_t& knob, Range range, const char*) {
    knob = section_.integer(key, knob, whole(range.min), whole(range.max));
  }
  void operator()(const char* key, std::vector<int64_t>& knob, Range range,
                  const char*) {
    knob = section_.integers(key, knob, whole(range.min), whole(range.max));
  }

  template <typename Knobs>
  void group(const char* key, Knobs& knobs) {
    KnobReader reader(section_.section(key));
    visit(reader, knobs);
  }
  /** Which keys there are is known once the knob that decides is. */
  bool when(bool holds, const char* key) {
    if (section_.is_wrong(key)) section_.allow_any_key();
    return holds;
  }

 private:
  static int64_t whole(double bound) {
    constexpr double kExact = 9007199254740992;  // 2^53
    return static_cast<int64_t>(std::min(bound, kExact));
  }

  Config section_;
};

/** A visitor that writes every knob, in the words of configs. */
class KnobWriter {
 public:
  template <typename T, typename... About>
  void operator()(const char* key, const T& knob, const About&...) {
    if constexpr (std::is_enum_v<T>) {
      json[key] = to_string(knob);
    } else {
      json[key] = knob;
    }
  }
  template <typename Knobs>
  void group(const char* key, Knobs& knobs) {
    KnobWriter writer;
    visit(writer, knobs);
    json[key] = writer.json;
  }
  bool when(bool holds, const char*) { return holds; }

  nlohmann::json json;
};

/** A gradient that is taken elsewhere, and one without a value network, have
 * none of the entry's own knobs of these. */
void prepare_gradient(const Config& section, GradientKnobs& knobs) {
  auto kind = knobs.value.kind;
  KnobReader{section.section("value")}("kind", kind, "");
  if (kind == ValueKnobs::Kind::none) knobs.value = {};
  auto at = knobs.at;
  KnobReader{section}("at", at, "");
  if (at == knobs.at) return;
  const GradientKnobs usual;
  knobs.through = usual.through;
  knobs.lookahead = usual.lookahead;
}

/** Where a balance guides, rows are compared with nothing; no scorer foretells
 * what one lacks. */
void prepare_flow(const Config& section, EstimatorKnobs& knobs) {
  auto use = knobs.flow.use;
  KnobReader{section}("use", use, "");
  if (use != FlowKnobs::Use::none) knobs.surrogate = {};
  if (use == FlowKnobs::Use::balance) knobs.compare_nothing();
}

/** Where there is none, it lies nowhere; one that stays has no turn to move. */
void prepare_window(const Config& section, WindowKnobs& knobs) {
  auto next = knobs;
  KnobReader{section}("size", next.size, kSamplerSteps, "");
  if (next.size == 0) {
    knobs = {};
    return;
  }
  KnobReader{section}("move", next.move, "");
  if (next.move == WindowKnobs::Move::frozen) knobs.every = WindowKnobs().every;
}

/** What the words of `next` have no use for is as usual. */
void forget_unused(PictureKnobs& knobs, const PictureKnobs& next,
                   const PictureKnobs& usual) {
  if (next.times == PictureKnobs::Times::grid) {
    knobs.shift = usual.shift;
  } else {
    knobs.distinct = usual.distinct;
  }
  if (!next.has_ratio()) knobs.clip = usual.clip;
  if (!next.uses_sharpness()) knobs.sharpness = usual.sharpness;
}

/** An entry's own knobs of another weight, time, distance or copy are none of
 * the config's. */
void prepare_pictures(const Config& section, EstimatorKnobs& estimator) {
  auto& knobs = estimator.pictures;
  const PictureKnobs usual;
  auto next = knobs;
  KnobReader words{section};
  words("guidance", next.guidance, "");
  words("times", next.times, "");
  KnobReader{section.section("old")}("cap", next.old.cap, kShare, "");
  if (next.follows_gradients()) {
    estimator.compare_nothing();
    knobs.weight = next.weight = usual.weight;
    knobs.coefficient = next.coefficient = usual.coefficient;
    knobs.distance = next.distance = usual.distance;
    knobs.mode = usual.mode;
    knobs.squash = usual.squash;
    knobs.advantage_scale = usual.advantage_scale;
  } else {
    words("weight", next.weight, "");
    words("coefficient", next.coefficient, "");
    words("distance", next.distance, "");
  }
  if (next.weight != PictureKnobs::Weight::advantage) {
    knobs.mode = usual.mode;
    knobs.squash = usual.squash;
    knobs.advantage_scale = usual.advantage_scale;
  }
  if (next.weight != PictureKnobs::Weight::exponential) {
    knobs.temperature = usual.temperature;
    knobs.raw = usual.raw;
  }
  if (next.weight != PictureKnobs::Weight::top) knobs.top = usual.top;
  if (next.times != PictureKnobs::Times::power) knobs.power = usual.power;
  forget_unused(knobs, next, usual);
  if (next.distance != PictureKnobs::Distance::power) {
    knobs.exponent = usual.exponent;
  }
  if (!next.old.is_kept()) knobs.old = usual.old;
}

/** The same of forward rows, of which there may be none. */
void prepare_forward(const Config& section, ForwardKnobs& knobs) {
  const ForwardKnobs usual;
  auto next = knobs.pictures;
  KnobReader words{section};
  words("rows", next.draws, kForwardRows, "");
  if (next.draws == 0) {
    knobs = usual;
    return;
  }
  words("times", next.times, "");
  words("coefficient", next.coefficient, "");
  forget_unused(knobs.pictures, next, usual.pictures);
}

/** Whether branches are chosen by measurement, in the word for it. */
bool is_auto(const Config& section) {
  return section.is_scalar("branches") && section.text("branches") == kAuto;
}

/** What is to be known before knobs are asked for: an entry's own of another
 * source are none of the config's, and a list stands in place of a profile. */
void prepare(const Config& section, EstimatorKnobs& knobs, int64_t steps) {
  auto source = knobs.source;
  KnobReader{section}("source", source, "");
  if (source != knobs.source) {
    knobs.branches.clear();
    knobs.profile.clear();
    knobs.budget = {};
    knobs.tree = {};
    knobs.window = {};
    knobs.flow = {};
    knobs.pictures = {};
    knobs.forward = {};
    if (source == Source::pictures || source == Source::pairs) {
      knobs.surrogate = {};
    }
    if (source == Source::trajectory || knobs.is_first_order()) {
      EstimatorKnobs fresh;
      fresh.source = knobs.source;
      fresh.noise = knobs.noise;
      knobs = fresh;
    }
  }
  if (source == Source::trajectory) {
    prepare_gradient(section.section("gradient"), knobs.gradient);
  } else if (source == Source::pictures) {
    prepare_pictures(section.section("pictures"), knobs);
  } else if (source == Source::rollout) {
    prepare_window(section.section("window"), knobs.window);
    prepare_flow(section.section("flow"), knobs);
  } else if (source == Source::tree) {
    fit_splits(knobs, steps);
    if (section.section("tree").has("split_steps")) knobs.profile.clear();
  } else if (source == Source::branches) {
    prepare_forward(section.section("forward"), knobs.forward);
    const bool chosen = is_auto(section);
    if (chosen && !knobs.budget.is_on()) knobs.budget.every = kChosenEvery;
    const bool listed = !chosen && section.has("branches");
    const bool named = section.has("profile");
    if (listed && named) {
      section.note("branches", "stands beside profile; give one of them");
    }
    if (listed && !named) {
      knobs.profile.clear();
    } else if (knobs.profile.empty()) {
      knobs.profile = "base";
    }
  }
}

/** A profile that does not fit is a mistake of what names it, or of the number
 * of steps. */
void fit_profile(const Config& config, const Config& section,
                 EstimatorKnobs& knobs, int64_t steps) {
  const bool named = section.has("profile");
  const auto place = named ? section : config.section("sampling");
  place.check(named ? "profile" : "steps",
              [&] { knobs.branches = branch_profile(knobs.profile, steps); });
}

void read_knobs(const Config& config, Method& method, int64_t steps) {
  const auto section = config.section("method");
  const auto estimator = section.section("estimator");
  auto& knobs = method.estimator;
  prepare(estimator, knobs, steps);
  KnobReader reader(section);
  visit(reader, method);
  if (knobs.source == Source::branches) {
    if (!knobs.profile.empty()) fit_profile(config, estimator, knobs, steps);
    if (is_auto(estimator) && !knobs.budget.is_on()) {
      estimator.note("branches",
                     "is auto beside budget.every: 0, which chooses nothing; "
                     "set that to 1 or more, or name a profile alone");
    }
  } else if (estimator.has("branches")) {  // [] where another source overrides
    std::vector<int64_t> listed;
    KnobReader{estimator}("branches", listed, kBranches, "");
    if (!listed.empty()) {
      estimator.note("branches",
                     cat("stands beside source: ", to_string(knobs.source),
                         "; remove it, or source: branches"));
    }
  }
}

}  // namespace

Method read_method(const Config& config, int64_t steps,
                   std::optional<Family> family,
                   std::vector<std::string>* warnings) {
  const auto section = config.section("method");
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
  read_knobs(config, method, steps);
  return method;
}

nlohmann::json to_json(Method method) {
  KnobWriter writer;
  visit(writer, method);
  auto out = writer.json;
  out["name"] = method.name;
  out["source"] = method.source;
  out["summary"] = method.summary;
  out["as_published"] = method.as_published;
  out["family"] = to_string(method.family);
  // Said in other places of a config, or fitted to the steps.
  auto& estimator = out["estimator"];
  estimator["noise"] = to_string(method.estimator.noise);
  if (method.estimator.source == Source::branches) {
    estimator["branches"] = method.estimator.branches;
  }
  if (!method.estimator.profile.empty()) {
    estimator["profile"] = method.estimator.profile;
  }
  return out;
}

}  // namespace rsm
