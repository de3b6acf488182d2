#include "rsm/cli/analyze.h"

namespace rsm {

void add_analyze(CLI::App& app, Action& action) {
  auto* group = app.add_subcommand(
      "analyze",
      "See why: how right estimators are, which times have signal, and how "
      "strongly methods act.\n\n"
      "Each has examples: rsm analyze estimators --help\n");
  group->require_subcommand(1);
  add_analyze_estimators(*group, action);
  add_analyze_signal(*group, action);
  add_analyze_strength(*group, action);
}

}  // namespace rsm
