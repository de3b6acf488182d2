#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace rsm {

/** Exit statuses of the program. */
constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kUsage = 2;
/** Stopped by SIGTERM or SIGUSR1, all saved: the same command goes on. It is
 * EX_TEMPFAIL of sysexits.h. */
constexpr int kStopped = 75;

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
void add_analyze(CLI::App& app, Action& action);
void add_verify(CLI::App& app, Action& action);

/** What a person needs to know of the exception being handled: without the
 * frames that LibTorch's carry. To be called in a catch block. */
std::string failure_text();

/** True once Ctrl-C, SIGTERM or SIGUSR1 came: save what is whole and end. A
 * second one of the former two ends the program at once. */
bool interrupted();
/** The exit status then: kFailed after Ctrl-C, else kStopped. */
int stopped_status();
void watch_for_interrupts();

}  // namespace rsm
