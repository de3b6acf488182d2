#include "rsm/runs/sweep.h"

#include <cctype>
#include <charconv>
#include <set>
#include <utility>

#include "rsm/base/error.h"

namespace rsm {
namespace {

/** A setting: what it is called and the values it sets. */
struct Setting {
  std::string label;
  std::vector<std::string> overrides;
};

std::vector<Setting> read_settings(const Config& config) {
  std::vector<Setting> settings;
  for (const auto& section : config.sections("settings")) {
    settings.push_back({section.text("label"), section.texts("set", {})});
  }
  if (settings.empty()) {
    config.note("settings", "no setting; give at least one with a label");
  }
  return settings;
}

/** Every setting at every value of one more key. */
std::vector<Setting> varied(const std::vector<Setting>& settings,
                            const Config& section) {
  const std::string key = section.text("key");
  const auto values = section.texts("values", {});
  if (values.empty()) {
    section.note("values", "no value to vary " + key + " over");
  }
  std::vector<Setting> all;
  for (const auto& setting : settings) {
    for (const auto& value : values) {
      const std::string assignment = key + "=" + value;
      Setting one = setting;
      one.label += ", " + assignment;
      one.overrides.push_back(assignment);
      all.push_back(std::move(one));
    }
  }
  return all;
}

std::vector<uint64_t> read_seeds(const Config& config) {
  std::vector<uint64_t> seeds;
  std::set<uint64_t> seen;
  for (const int64_t value : config.integers("seeds", {1, 2, 3}, 0)) {
    const auto seed = static_cast<uint64_t>(value);
    if (!seen.insert(seed).second) {
      config.note("seeds", cat(seed, " stands twice; a run counts once"));
    }
    seeds.push_back(seed);
  }
  if (seeds.empty()) {
    config.note("seeds", "no seed; give at least one");
  }
  return seeds;
}

/** As YAML text, whatever it is made of. */
std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

SweepRun make_run(const std::string& config, const std::string& folder,
                  const Setting& setting, uint64_t seed) {
  const std::string name = cat(folder_name(setting.label), "-", seed);
  auto overrides = setting.overrides;
  overrides.push_back("name=" + quoted(name));
  overrides.push_back("folder=" + quoted(folder + "/" + name));
  overrides.push_back(cat("seed=", seed));
  overrides.push_back("label=" + quoted(setting.label));
  return {setting.label, seed,
          read_run_options(Config::load(config, overrides))};
}

/** Notes labels that give no folder of their own. */
void check_labels(const Config& config, const std::vector<Setting>& settings) {
  std::set<std::string> folders;
  for (const auto& setting : settings) {
    const std::string folder = folder_name(setting.label);
    if (folder.empty()) {
      config.note("settings", cat("the label \"", setting.label,
                                  "\" gives no folder name; use letters and "
                                  "digits"));
    } else if (!folders.insert(folder).second) {
      config.note("settings", cat("two settings are called \"", setting.label,
                                  "\"; each needs a label of its own"));
    }
  }
}

}  // namespace

std::string folder_name(const std::string& label) {
  std::string name;
  for (const char c : label) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0 || c == '.') {
      name += static_cast<char>(std::tolower(u));
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  while (!name.empty() && name.back() == '-') {
    name.pop_back();
  }
  return name;
}

SweepPart read_sweep_part(const std::string& text) {
  SweepPart part;
  const char* end = text.data() + text.size();
  const auto [slash, bad] = std::from_chars(text.data(), end, part.number);
  if (bad == std::errc() && slash != end && *slash == '/') {
    const auto [rest, worse] = std::from_chars(slash + 1, end, part.of);
    if (worse == std::errc() && rest == end && part.number >= 1 &&
        part.number <= part.of) {
      return part;
    }
  }
  throw UsageError(cat("[sweep] part \"", text,
                       "\" arrived; 1/8 is the first of eight parts, 8/8 the "
                       "last"));
}

Sweep read_sweep(const Config& config) {
  constexpr size_t kMostRuns = 10000;
  Sweep sweep;
  sweep.name = read_name(config);
  sweep.folder = config.text("folder", "runs/" + sweep.name);
  const std::string base = config.text("config");
  const auto common = config.texts("set", {});
  const auto seeds = read_seeds(config);
  auto settings = read_settings(config);
  for (const auto& section : config.sections("vary")) {
    settings = varied(settings, section);
    if (settings.size() * seeds.size() > kMostRuns) {
      config.note("vary", cat("more than ", kMostRuns, " runs; vary less"));
      break;
    }
  }
  check_labels(config, settings);
  config.done();
  for (auto& setting : settings) {
    setting.overrides.insert(setting.overrides.begin(), common.begin(),
                             common.end());
  }
  for (const uint64_t seed : seeds) {
    for (const auto& setting : settings) {
      sweep.runs.push_back(make_run(base, sweep.folder, setting, seed));
    }
  }
  return sweep;
}

}  // namespace rsm
