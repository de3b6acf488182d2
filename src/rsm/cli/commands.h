#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace rsm {

/** Exit statuses of the program. */
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;

/** What a subcommand does when it was chosen; returns the exit status. */
using Action = std::function<int()>;

// Each adds its subcommand to the program and sets `action` when it is chosen.
void add_finetune(CLI::App& app, Action& action);
void add_pretrain(CLI::App& app, Action& action);
void add_sweep(CLI::App& app, Action& action);
void add_check(CLI::App& app, Action& action);
void add_export(CLI::App& app, Action& action);
void add_sample(CLI::App& app, Action& action);
void add_evaluate(CLI::App& app, Action& action);
void add_compare(CLI::App& app, Action& action);
void add_methods(CLI::App& app, Action& action);

/** True once the user pressed Ctrl-C: finish what is under way and save. A
 * second Ctrl-C ends the program at once. */
bool interrupted();
void watch_for_interrupts();

}  // namespace rsm
