#pragma once

#include <string>
#include <vector>

#include "rsm/io/config.h"
#include "rsm/runs/run_options.h"

/** What tests of runs share; no part of the library includes this. */
namespace rsm {

/** Of a run that says nothing but its model. */
inline RunOptions options_of(const std::vector<std::string>& overrides) {
  return read_run_options(Config::parse("name: a\nmodel: models/shapes-flow\n",
                                        "test.yaml", overrides));
}

/** Of the demo. */
inline RunOptions options_with(const std::vector<std::string>& overrides) {
  return read_run_options(Config::load("configs/shapes/demo.yaml", overrides));
}

}  // namespace rsm
