#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "rsm/io/write_steps.h"

namespace rsm {

/** While it lives one step of writing fails. Steps are counted from 0. Of the
 * writes into an open file the first counts and the third (in a file of
 * tensors, the first of their data); others fail only where nothing can be
 * written any more. Nobody hears where a folder can't be synced: it doesn't
 * count. Nothing waits for the disk meanwhile, unless it is the step that
 * fails.
 */
class FaultyDisk : public WriteWatch {
 public:
  enum class Kind {
    full,       ///< the step fails, a write after its first byte; then all is
                ///< well again
    read_only,  ///< from this step on nothing can be written
    killed      ///< the same, as nothing is where a process is dead
  };

  static constexpr int64_t kNever = -1;
  static constexpr int64_t kLaterWrite = 3;

  explicit FaultyDisk(Kind kind, int64_t at = kNever) : kind_(kind), at_(at) {
    watch_writes(this);
  }
  FaultyDisk(const FaultyDisk&) = delete;
  ~FaultyDisk() override { watch_writes(nullptr); }

  int before(WriteStep step, const std::string& path, size_t& bytes) override {
    const bool counted = counts(step, path);
    const bool now = counted && steps_++ == at_;
    if (!now && !has_died()) return step == WriteStep::sync ? kPass : 0;
    if (now) bytes = 1;
    if (counted) failed_.push_back(file_of(path));
    return code();
  }

  int64_t steps() const { return steps_; }
  bool has_failed() const { return !failed_.empty(); }
  /** Of each step that failed the file that it was for, in their order: one of
   * a full disk. */
  const std::vector<std::string>& failed() const { return failed_; }
  int code() const {
    return kind_ == Kind::full        ? ENOSPC
           : kind_ == Kind::read_only ? EROFS
                                      : EIO;
  }

 private:
  bool has_died() const { return kind_ != Kind::full && has_failed(); }

  /** AtomicFile opens and removes "name.tmp.123.4" for "name". */
  static std::string file_of(const std::string& path) {
    return path.substr(0, path.find(".tmp."));
  }

  bool counts(WriteStep step, const std::string& path) {
    if (step == WriteStep::sync) return !std::filesystem::is_directory(path);
    if (step == WriteStep::write) {
      const int64_t count = ++writes_[path];
      return count == 1 || count == kLaterWrite;
    }
    if (step == WriteStep::open || step == WriteStep::rename) {
      writes_.erase(file_of(path));
    }
    return true;
  }

  Kind kind_;
  int64_t at_;
  int64_t steps_ = 0;
  std::vector<std::string> failed_;
  std::map<std::string, int64_t> writes_;  ///< into the file that is open
};

}  // namespace rsm
