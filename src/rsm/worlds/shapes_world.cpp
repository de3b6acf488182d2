#include "rsm/worlds/shapes_world.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/random.h"

namespace rsm::shapes {
namespace {

constexpr int kPalette[kColors][3] = {
    {214, 48, 44},  {46, 160, 67},  {44, 92, 214},  {246, 206, 48},
    {146, 58, 184}, {244, 128, 28}, {58, 200, 214}, {34, 34, 38}};
constexpr int kBackground[3] = {244, 242, 236};

constexpr const char* kNumbers[] = {"two", "three", "four"};
constexpr int kMinCount = 2;

std::array<float, 3> to_unit(const int (&rgb)[3]) {
  std::array<float, 3> out{};
  for (int c = 0; c < 3; ++c) {
    out[c] = static_cast<float>(rgb[c]) / 127.5f - 1.0f;
  }
  return out;
}

std::string shape_name(int shape) { return kShapeNames.at(shape); }

std::string plural(int shape) {
  const std::string name = shape_name(shape);
  return name + (name == "cross" ? "es" : "s");
}

std::string relation_phrase(int relation) {
  const std::string name = kRelationNames.at(relation);
  return relation < 2 ? name + " of" : name;
}

std::string object_phrase(const Spec& spec, size_t i) {
  const std::string color =
      spec.colors.empty() ? "" : cat(kColorNames.at(spec.colors[i]), " ");
  return cat("a ", color, shape_name(spec.shapes[i]));
}

bool has_two_shapes(Category category) {
  return category == Category::two_object || category == Category::position ||
         category == Category::color_attr;
}

/** Whether some caption says exactly this. */
bool sayable(const Spec& spec) {
  const bool two = has_two_shapes(spec.category);
  const bool counting = spec.category == Category::counting;
  const bool colored = spec.category == Category::colors ||
                       spec.category == Category::color_attr;
  const auto within = [](int value, int n) { return value >= 0 && value < n; };
  const auto all_within = [&](const std::vector<int>& values, int n) {
    return std::all_of(values.begin(), values.end(),
                       [&](int value) { return within(value, n); });
  };
  return spec.shapes.size() == (two ? 2 : 1) &&
         all_within(spec.shapes, kShapes) &&
         (!two || spec.shapes[0] != spec.shapes[1]) &&
         spec.colors.size() == (colored ? spec.shapes.size() : 0) &&
         all_within(spec.colors, kColors) &&
         (spec.colors.size() < 2 || spec.colors[0] != spec.colors[1]) &&
         (counting ? spec.count >= kMinCount && spec.count <= kMaxCount
                   : spec.count == 1) &&
         (spec.category == Category::position
              ? within(spec.relation, kRelations)
              : spec.relation == -1);
}

/** All specs of a category, nested loops over shapes, colours, the rest. */
void add_specs(Category category, std::vector<Spec>* out) {
  const auto add = [&](const Spec& spec) {
    if (sayable(spec)) {
      out->push_back(spec);
    }
  };
  for (int s = 0; s < kShapes; ++s) {
    add({category, {s}, {}});
    for (int count = kMinCount; count <= kMaxCount; ++count) {
      add({category, {s}, {}, count});
    }
    for (int c = 0; c < kColors; ++c) {
      add({category, {s}, {c}});
    }
    for (int other = 0; other < kShapes; ++other) {
      add({category, {s, other}, {}});
      for (int relation = 0; relation < kRelations; ++relation) {
        add({category, {s, other}, {}, 1, relation});
      }
      for (int pair = 0; pair < kColors * kColors; ++pair) {
        add({category, {s, other}, {pair / kColors, pair % kColors}});
      }
    }
  }
}

const std::unordered_map<std::string, int64_t>& caption_index() {
  static const auto index = [] {
    std::unordered_map<std::string, int64_t> map;
    for (const Spec& spec : all_specs()) {
      map.emplace(caption(spec), static_cast<int64_t>(map.size()));
    }
    return map;
  }();
  return index;
}

const std::vector<bool>& held_out_table() {
  static const auto table = [] {
    constexpr uint64_t kSplitSeed = 20;
    std::vector<std::vector<int64_t>> members(kCategories);
    const auto& specs = all_specs();
    for (size_t i = 0; i < specs.size(); ++i) {
      members[static_cast<int>(specs[i].category)].push_back(i);
    }
    std::vector<bool> held(specs.size(), false);
    for (int c = 0; c < kCategories; ++c) {
      const auto n = static_cast<int64_t>(members[c].size());
      const auto order = counted_permutation(
          counted_seed(kSplitSeed, Purpose::data, {static_cast<uint64_t>(c)}),
          n);
      const int64_t quota = std::max<int64_t>(1, (n + 2) / 5);
      for (int64_t k = 0; k < quota; ++k) {
        held[members[c][order[k]]] = true;
      }
    }
    return held;
  }();
  return table;
}

}  // namespace

int Spec::objects() const {
  return category == Category::counting ? count
                                        : static_cast<int>(shapes.size());
}

std::array<float, 3> color_value(int color) {
  RSM_CHECK(color >= 0 && color < kColors, "[shapes] colour ", color,
            "; there are colours 0..", kColors - 1);
  return to_unit(kPalette[color]);
}

std::array<float, 3> background_value() { return to_unit(kBackground); }

double shape_distance(int shape, double x, double y, double radius) {
  const double ax = std::abs(x);
  const double ay = std::abs(y);
  switch (shape) {
    case 0:
      return std::sqrt(x * x + y * y) - radius;
    case 1:
      return std::max(ax, ay) - 0.92 * radius;
    case 2:
      return std::max(y - radius, (2 * ax - (y + radius)) / std::sqrt(5.0));
    case 3: {
      const double arm = radius / 3;
      return std::min(std::max(ax - radius, ay - arm),
                      std::max(ax - arm, ay - radius));
    }
  }
  throw Error(cat("[shapes] shape ", shape, "; there are shapes 0..3"));
}

std::string caption(const Spec& spec) {
  RSM_CHECK(sayable(spec),
            "[shapes] no caption says this spec: ", spec.shapes.size(),
            " shapes, ", spec.colors.size(), " colours, count ", spec.count,
            ", relation ", spec.relation, " in category ",
            static_cast<int>(spec.category));
  const std::string first = object_phrase(spec, 0);
  switch (spec.category) {
    case Category::single_object:
    case Category::colors:
      return first;
    case Category::counting:
      return cat(kNumbers[spec.count - kMinCount], " ", plural(spec.shapes[0]));
    case Category::position:
      return cat(first, " ", relation_phrase(spec.relation), " ",
                 object_phrase(spec, 1));
    default:
      return cat(first, " and ", object_phrase(spec, 1));
  }
}

Spec parse_caption(const std::string& text) {
  const auto& index = caption_index();
  const auto found = index.find(text);
  if (found == index.end()) {
    std::vector<std::string> known;
    for (const auto& entry : index) {
      known.push_back(entry.first);
    }
    std::sort(known.begin(), known.end());
    const std::string near = nearest_word(text, known);
    const auto words = [](const auto& names) {
      return join({names.begin(), names.end()}, "|");
    };
    throw Error(cat(
        "[shapes] \"", text, "\" is no caption of the shapes world; one is ",
        "\"a S\", \"a S and a S'\", \"two|three|four Ss\", \"a C S\", ",
        "\"a S left of|right of|above|below a S'\" or \"a C S and a C' S'\" ",
        "with different shapes S = ", words(kShapeNames),
        " and different colours C = ", words(kColorNames),
        near.empty() ? "" : cat(" (did you mean \"", near, "\"?)")));
  }
  return all_specs()[found->second];
}

const std::vector<Spec>& all_specs() {
  static const auto specs = [] {
    std::vector<Spec> out;
    for (int c = 0; c < kCategories; ++c) {
      add_specs(static_cast<Category>(c), &out);
    }
    return out;
  }();
  return specs;
}

std::vector<std::string> caption_words() {
  std::vector<std::string> words;
  std::set<std::string> seen;
  for (const Spec& spec : all_specs()) {
    std::istringstream text(caption(spec));
    for (std::string word; text >> word;) {
      if (seen.insert(word).second) {
        words.push_back(word);
      }
    }
  }
  return words;
}

bool held_out(const Spec& spec) {
  return held_out_table()[caption_index().at(caption(spec))];
}

bool in_split(const Spec& spec, Split split) {
  return split == Split::all || held_out(spec) == (split == Split::held_out);
}

Prompts prompts_of(Split split) {
  Prompts prompts;
  const auto& specs = all_specs();
  for (size_t i = 0; i < specs.size(); ++i) {
    if (in_split(specs[i], split)) {
      prompts.push_back({static_cast<int64_t>(i), caption(specs[i]),
                         kCategoryNames[static_cast<int>(specs[i].category)]});
    }
  }
  return prompts;
}

}  // namespace rsm::shapes
