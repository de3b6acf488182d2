#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace rsm {

/** The file in a run's folder that TensorBoard reads. */
inline constexpr const char* kEventFile = "events.out.tfevents.rsm";

/** A run as TensorBoard shows it (io/event_file.h): an epoch is a step, its
 * time the log's wall_s. Every number of its line in the log that float32
 * holds and that is in no list is a scalar, called by its place:
 * "eval/metrics/correct", "seconds/rollout" and, at the line's top,
 * "train/loss"; the evaluation's sheet of samples/ is the picture "samples".
 *
 * So the file is a function of log and samples: written anew when a run goes
 * on, it tells of no step twice, and of none that the log has not. */
class TensorBoard {
 public:
  explicit TensorBoard(std::string run_folder);

  /** Brings the file up to the log's `lines` (RunLog::lines()), none of which
   * says more later: first as a whole, then by what is new. Throws rsm::Error
   * naming the file that cannot be written; the next call then writes it as a
   * whole. */
  void follow(const std::vector<std::string>& lines);

 private:
  std::string folder_;
  size_t written_ = 0;  ///< lines; 0: the file is to be written as a whole
};

}  // namespace rsm
