#pragma once

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <set>
#include <string>

#include "rsm/io/write_steps.h"

namespace rsm {

/** While it lives one step of writing fails. Steps are counted from 0; further
 * writes into a file that is open fail as its first does, and nobody hears
 * where a folder can't be synced: neither counts.
 * Nothing waits for the disk meanwhile, unless it is the step that fails. */
class FaultyDisk : public WriteWatch {
 public:
  enum class Kind {
    full,       ///< the step fails, a write after its first byte; then all is
                ///< well again
    read_only,  ///< from this step on nothing can be written
    killed      ///< the same, as nothing is where a process is dead
  };

  static constexpr int64_t kNever = -1;

  explicit FaultyDisk(Kind kind, int64_t at = kNever) : kind_(kind), at_(at) {
    watch_writes(this);
  }
  FaultyDisk(const FaultyDisk&) = delete;
  ~FaultyDisk() override { watch_writes(nullptr); }

  int before(WriteStep step, const std::string& path, size_t& bytes) override {
    if (is_further(step, path)) return has_died() ? code() : 0;
    if (is_of_folder(step, path)) return has_died() ? code() : kPass;
    const int64_t now = steps_++;
    if (now == at_) {
      failed_ = path;
      bytes = 1;
      return code();
    }
    if (has_died()) return code();
    return step == WriteStep::sync ? kPass : 0;
  }

  int64_t steps() const { return steps_; }
  bool has_failed() const { return !failed_.empty(); }
  /** The path whose step failed first. */
  const std::string& failed() const { return failed_; }
  int code() const {
    return kind_ == Kind::full        ? ENOSPC
           : kind_ == Kind::read_only ? EROFS
                                      : EIO;
  }

 private:
  bool has_died() const { return kind_ != Kind::full && has_failed(); }

  /** Whether something was written into the file before. */
  bool is_further(WriteStep step, const std::string& path) {
    if (step == WriteStep::write) return !written_.insert(path).second;
    if (step == WriteStep::open) written_.erase(path);
    if (step == WriteStep::rename) written_.erase(path);
    return false;
  }

  static bool is_of_folder(WriteStep step, const std::string& path) {
    return step == WriteStep::sync && std::filesystem::is_directory(path);
  }

  Kind kind_;
  int64_t at_;
  int64_t steps_ = 0;
  std::string failed_;
  std::set<std::string> written_;
};

}  // namespace rsm
