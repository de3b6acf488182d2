#include "rsm/compare/comparison_settings.h"

#include <algorithm>
#include <map>
#include <set>

#include "rsm/base/error.h"

namespace rsm::report {
namespace {

/** More differing keys than this don't all stand in a label. */
constexpr size_t kMostKeys = 3;

std::string plain_label(const std::vector<ComparedRun>& runs) {
  std::set<std::string> labels;
  for (const auto& run : runs) {
    if (!run.label.empty()) labels.insert(run.label);
  }
  return labels.empty() ? runs.front().method : *labels.begin();
}

void check_seeds(const Setting& setting) {
  for (size_t i = 1; i < setting.runs.size(); ++i) {
    const auto& a = setting.runs[i - 1];
    const auto& b = setting.runs[i];
    if (a.seed != b.seed) continue;
    throw UsageError(cat("[compare] ", a.folder, " and ", b.folder,
                         " are the same run: one config and the seed ", a.seed,
                         "; a seed counts once in a setting; leave one out"));
  }
}

using Values = std::vector<std::string>;

Values values_of(const Setting& setting, const Values& keys) {
  Values out;
  for (const auto& key : keys) out.push_back(setting.runs.front().value(key));
  return out;
}

/** How many of the settings these keys tell apart. */
size_t classes(const std::vector<Setting>& settings, const Values& keys) {
  std::set<Values> seen;
  for (const auto& setting : settings) seen.insert(values_of(setting, keys));
  return seen.size();
}

/** Short values first: they make short labels. */
void sort_by_length(const std::vector<Setting>& settings, Values& keys) {
  const auto length = [&](const std::string& key) {
    size_t longest = 0;
    for (const auto& setting : settings) {
      longest = std::max(longest, values_of(setting, {key})[0].size());
    }
    return longest;
  };
  std::stable_sort(keys.begin(), keys.end(), [&](const auto& a, const auto& b) {
    return length(a) < length(b);
  });
}

/** A few of the keys that together tell the settings apart: at every turn the
 * one that tells most. */
Values telling_keys(const std::vector<Setting>& settings, Values keys) {
  sort_by_length(settings, keys);
  Values chosen;
  while (classes(settings, chosen) < settings.size()) {
    Values best;
    for (const auto& key : keys) {
      Values tried = chosen;
      tried.push_back(key);
      const bool more = classes(settings, tried) > classes(settings, best);
      if (best.empty() || more) best = tried;
    }
    chosen = best;
  }
  return chosen;
}

/** Makes equal labels different. */
void tell_apart(std::vector<Setting>& alike) {
  const auto all = differing_keys(alike);
  const bool few = all.size() <= kMostKeys;
  const auto keys = few ? all : telling_keys(alike, all);
  for (auto& setting : alike) {
    for (const auto& key : keys) {
      const auto value = setting.runs.front().value(key);
      if (!value.empty()) setting.label += ", " + key + "=" + value;
    }
    if (keys.size() < all.size()) setting.label += ", ...";
  }
}

}  // namespace

std::vector<std::string> differing_keys(const std::vector<Setting>& settings) {
  std::map<std::string, std::set<std::string>> values;
  for (const auto& setting : settings) {
    for (const auto& [key, value] : setting.runs.front().config) values[key];
  }
  std::vector<std::string> out;
  for (auto& [key, seen] : values) {
    for (const auto& setting : settings) {
      seen.insert(setting.runs.front().value(key));
    }
    if (seen.size() > 1) out.push_back(key);
  }
  return out;
}

std::vector<Setting> group_settings(std::vector<ComparedRun> runs) {
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) {
    return a.seed != b.seed ? a.seed < b.seed : a.folder < b.folder;
  });
  std::map<std::map<std::string, std::string>, Setting> by_config;
  for (auto& run : runs) {
    by_config[run.config].runs.push_back(std::move(run));
  }
  std::map<std::string, std::vector<Setting>> by_label;
  for (auto& [config, setting] : by_config) {
    check_seeds(setting);
    setting.label = plain_label(setting.runs);
    by_label[setting.label].push_back(std::move(setting));
  }
  std::vector<Setting> out;
  for (auto& [label, alike] : by_label) {
    tell_apart(alike);
    std::move(alike.begin(), alike.end(), std::back_inserter(out));
  }
  std::sort(out.begin(), out.end(),
            [](const auto& a, const auto& b) { return a.label < b.label; });
  return out;
}

}  // namespace rsm::report
