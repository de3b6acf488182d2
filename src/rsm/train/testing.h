#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "rsm/io/run_log.h"
#include "rsm/train/finetune.h"

namespace rsm {

/** Runs to the end, or goes on from its checkpoint to the end; the log. */
inline std::vector<nlohmann::json> run_to_end(const RunOptions& options) {
  NoProgress silent;
  Finetune run(options, silent);
  while (!run.finished()) {
    run.run_epoch();
  }
  run.finish();
  return read_log(options.folder + "/log.jsonl");
}

}  // namespace rsm
