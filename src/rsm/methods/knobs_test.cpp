#include "rsm/methods/knobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rsm/base/error.h"
#include "rsm/io/testing.h"
#include "rsm/methods/catalogue.h"
#include "rsm/methods/method_config.h"

namespace rsm {
namespace {

using nlohmann::json;

/** A method of one's own with these knobs, the rest as in `entry`. */
Method changed(const Method& entry, json section) {
  section["name"] = "mine";
  section["from"] = entry.name;
  const auto config =
      Config::parse("# a line before\nmethod: " + section.dump(), "own.yaml");
  auto method = read_method(config, kCatalogueSteps, std::nullopt);
  config.done();
  return method;
}

json::json_pointer place_of(const std::string& key) {
  std::string path = "/" + key;
  std::replace(path.begin(), path.end(), '.', '/');
  return json::json_pointer(path);
}

/** A section with this knob, and with the one that decides that there is such a
 * knob where no entry has it on. */
json section_with(const KnobInfo& knob, const json& value) {
  json section;
  if (knob.key.starts_with("estimator.budget.")) {
    section["estimator"]["budget"]["every"] = 10;
  }
  section[place_of(knob.key)] = value;
  return section;
}

json number(const KnobInfo& knob, double value) {
  json out = value;
  if (!knob.is_real) out = static_cast<int64_t>(value);
  return knob.is_list ? json::array({out}) : out;
}

/** The ends of what a knob may be, and every word. */
std::vector<json> allowed(const KnobInfo& knob) {
  if (knob.words == std::vector<std::string>{"false", "true"}) {
    return {false, true};
  }
  if (!knob.words.empty()) return {knob.words.begin(), knob.words.end()};
  const double above = knob.range.without_min ? 1e-9 : 0;
  return {number(knob, knob.range.min + above), number(knob, knob.range.max)};
}

std::vector<json> forbidden(const KnobInfo& knob) {
  if (!knob.words.empty()) return {"neither"};
  std::vector<json> out = {number(knob, knob.range.min - 1),
                           number(knob, 2 * knob.range.max)};
  if (knob.range.without_min) out.push_back(number(knob, knob.range.min));
  return out;
}

TEST(Knobs, WhateverOneMayBeIsReadAndWritten) {
  for (const auto& knob : list_knobs()) {
    for (const auto& value : allowed(knob)) {
      const json section = section_with(knob, value);
      int64_t takes = 0;  // entries that have such a knob
      for (const auto& entry : catalogue()) {
        try {
          const json got = to_json(changed(entry, section));
          EXPECT_EQ(got.at(place_of(knob.key)), value) << knob.key;
          ++takes;
        } catch (const UsageError& error) {
          expect_parts(error.what(), {"own.yaml:2: method."});
        }
      }
      EXPECT_GT(takes, 0) << knob.key << " " << value;
    }
  }
}

TEST(Knobs, WhatOneMayNotBeIsRefusedByFileLineAndKey) {
  for (const auto& knob : list_knobs()) {
    for (const auto& value : forbidden(knob)) {
      const json section = section_with(knob, value);
      int64_t refused = 0;
      for (const auto& entry : catalogue()) {
        const auto error = error_of([&] { changed(entry, section); });
        expect_parts(error, {"own.yaml:2: method."});
        refused += error.find("method." + knob.key) != std::string::npos &&
                   (error.find("allowed: ") != std::string::npos ||
                    error.find("unknown \"") != std::string::npos);
      }
      EXPECT_GT(refused, 0) << knob.key << " " << value;
    }
  }
}

TEST(Knobs, OfAnEntryAreItsOwnWhicheverEntryTheyChange) {
  for (auto expected : catalogue()) {
    auto knobs = to_json(expected);
    for (const char* key : {"family", "source", "summary"}) knobs.erase(key);
    knobs["estimator"].erase("noise");  // the sampler's
    if (expected.estimator.source == EstimatorKnobs::Source::branches) {
      knobs["estimator"].erase("branches");  // its profile says them
    } else {
      knobs["estimator"].erase("profile");  // its splits are listed
      expected.estimator.profile.clear();
    }
    for (const auto& other : catalogue()) {
      const auto got = changed(other, knobs);
      EXPECT_EQ(got.name, "mine");
      EXPECT_NE(got.source, other.source);
      expected.estimator.noise = got.estimator.noise;
      EXPECT_TRUE(got.estimator == expected.estimator &&
                  got.strength == expected.strength &&
                  got.regularisation == expected.regularisation)
          << expected.name << " from " << other.name << ": " << to_json(got);
    }
  }
}

}  // namespace
}  // namespace rsm
