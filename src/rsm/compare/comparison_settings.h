#pragma once

#include <string>
#include <vector>

#include "rsm/compare/compared_run.h"

namespace rsm::report {

/** Runs of one config that differ in their seed. */
struct Setting {
  std::string label;
  std::vector<ComparedRun> runs;  ///< by seed
};

/** Runs grouped by their configs, sorted by label. A label is the runs' own or
 * else the method's name; where several settings would share it, the keys they
 * differ in follow: "name, train.lr=0.001". Of many keys only those that tell
 * the settings apart do, and "...". Throws UsageError where a setting has a
 * seed twice. */
std::vector<Setting> group_settings(std::vector<ComparedRun> runs);

/** The config's keys in which the settings differ, sorted. */
std::vector<std::string> differing_keys(const std::vector<Setting>& settings);

}  // namespace rsm::report
