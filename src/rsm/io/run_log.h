#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace rsm {

/** The run's log: a file of JSON objects, one a line, one an epoch, each with
 * an integer "epoch" that grows from line to line. */
class RunLog {
 public:
  /** Begins the file anew with the lines of `text`, as mend_log() gives it. An
   * empty path keeps the lines in memory alone, as where another process
   * writes. Throws rsm::Error naming the file where it cannot be written. */
  RunLog(std::string path, const std::string& text);

  /** Appends one line (json_line, io/json_text.h); it is on the disk when this
   * returns. After an error (rsm::Error) the file is as before. */
  void append(const nlohmann::json& line);

  /** Replaces the last line by one that says more of the same epoch. Replaces
   * the file as a whole or not at all. Throws rsm::Error where the last line is
   * of another epoch. */
  void amend(const nlohmann::json& line);

  /** The lines so far, as they stand in the file, without its newlines. */
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::string path_;
  std::vector<std::string> lines_;
};

/** The lines of a log in order. Where an epoch comes again, or an earlier one,
 * the run was set back: the lines of that epoch and later ones are dropped for
 * the new one. A half-written last line is left out; any other line that is no
 * JSON object with an integer "epoch" is an rsm::Error with file and line. */
std::vector<nlohmann::json> read_log(const std::string& path);

}  // namespace rsm
