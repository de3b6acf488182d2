#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rsm {

/** What a log should hold, and what was found to be wrong with it. */
struct MendedLog {
  std::string text;               ///< of the file
  std::vector<std::string> said;  ///< for people, naming the file
};

/** The log of epochs 0 to `epoch` for a run that goes on from there: the lines
 * that were `saved` with its checkpoint. One that lacks the evaluation which
 * the file's has, saying the same else, is taken from the file, which may be
 * missing or damaged. Says what was restored, and which later epochs are
 * dropped. */
MendedLog mend_log(const std::string& path,
                   const std::vector<std::string>& saved, int64_t epoch);

/** The last epoch that the file speaks of, damaged lines left out; -1 for none.
 * `damaged` is the number of its first damaged line, 0 for none. */
int64_t last_epoch_in(const std::string& path, int64_t& damaged);

}  // namespace rsm
