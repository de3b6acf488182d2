#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "rsm/base/error.h"
#include "rsm/base/progress.h"
#include "rsm/io/run_log.h"
#include "rsm/train/finetune.h"

namespace rsm {

/** Keeps what is said. */
class Notes : public NoProgress {
 public:
  void say(const std::string& line) override { said.push_back(line); }
  std::string all() const { return join(said, "\n"); }

  std::vector<std::string> said;
};

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
