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
  /** Continues the file, or creates it. A half-written last line, as a killed
   * run leaves it, is removed. Throws rsm::Error naming the file, and the line
   * where one is not as above. */
  explicit RunLog(std::string path);

  /** Appends one line; it is on the disk when this returns. NaN and infinities
   * are written as null, bytes that are not UTF-8 as U+FFFD. After an error
   * (rsm::Error) the file is as before. */
  void append(const nlohmann::json& line);

  /** Replaces the last line by one that says more of the same epoch. Replaces
   * the file as a whole or not at all. Throws rsm::Error where the last line is
   * of another epoch. */
  void amend(const nlohmann::json& line);

  /** Drops the lines of epochs later than `epoch`. Replaces the file as a whole
   * or not at all. */
  void truncate_after(int64_t epoch);

  /** The lines so far, as they stand in the file, without its newlines. */
  std::vector<std::string> lines() const;

 private:
  struct Line {
    int64_t epoch;
    std::string text;
  };

  /** Writes all of `lines`, then they are the log's. */
  void replace(std::vector<Line> lines);

  std::string path_;
  std::vector<Line> lines_;
};

/** The lines of a log in order. Where an epoch comes again, or an earlier one,
 * the run was set back: the lines of that epoch and later ones are dropped for
 * the new one. A half-written last line is left out; any other line that is no
 * JSON object with an integer "epoch" is an rsm::Error with file and line. */
std::vector<nlohmann::json> read_log(const std::string& path);

}  // namespace rsm
