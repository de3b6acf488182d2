#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "rsm/cli/commands.h"

namespace rsm {

/** Writes those that have a text into a folder, and says where unless not
 * `told`. */
void write_files(const std::string& folder,
                 const std::map<std::string, std::string>& files,
                 bool told = true);

// Each adds its subcommand to `rsm analyze`.
void add_analyze_estimators(CLI::App& group, Action& action);
void add_analyze_signal(CLI::App& group, Action& action);
void add_analyze_strength(CLI::App& group, Action& action);

}  // namespace rsm
