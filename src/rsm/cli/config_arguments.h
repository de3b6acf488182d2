#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "rsm/io/config.h"

namespace rsm {

/** A config file and the values that replace some of its own. */
struct ConfigArguments {
  std::string path;
  std::vector<std::string> overrides;

  void add_to(CLI::App& command) {
    command.add_option("config", path, "a YAML file")->required();
    command.add_option("--set", overrides,
                       "key=value, replacing a value of the config");
  }
  Config load() const { return Config::load(path, overrides); }
};

}  // namespace rsm
