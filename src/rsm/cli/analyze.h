#pragma once

#include <CLI/CLI.hpp>

#include "rsm/cli/commands.h"

namespace rsm {

// Each adds its subcommand to `rsm analyze`.
void add_analyze_estimators(CLI::App& group, Action& action);
void add_analyze_signal(CLI::App& group, Action& action);
void add_analyze_strength(CLI::App& group, Action& action);

}  // namespace rsm
