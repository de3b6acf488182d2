#include "rsm/cli/analyze.h"

#include <cstdio>

#include "rsm/io/files.h"

namespace rsm {

void write_files(const std::string& folder,
                 const std::map<std::string, std::string>& files, bool told) {
  make_folders(folder);
  for (const auto& [name, text] : files) {
    if (text.empty()) continue;
    const std::string file = folder + "/" + name;
    write_file_atomic(file, text);
    if (told) std::printf("%s\n", file.c_str());
  }
}

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
