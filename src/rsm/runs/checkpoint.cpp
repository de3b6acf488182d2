#include "rsm/runs/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <iomanip>
#include <sstream>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/write_steps.h"
#include "rsm/runs/checkpoint_mark.h"

namespace rsm {
namespace {

namespace fs = std::filesystem;

constexpr size_t kKept = 2;
constexpr size_t kMostDigits = 12;
constexpr const char* kMark = ".json";
constexpr const char* kTensors = ".safetensors";
constexpr const char* kDamaged = ".damaged";
constexpr const char* kEpoch = "epoch";  // metadata of the tensors

std::string folder_of(const std::string& run_folder) {
  return run_folder + "/checkpoints";
}

/** A checkpoint's files without their endings. */
std::string stem_of(const std::string& run_folder, int64_t epoch) {
  std::ostringstream name;
  name << folder_of(run_folder) << "/epoch-" << std::setw(6)
       << std::setfill('0') << epoch;
  return name.str();
}

/** The epoch of "epoch-000012" and whatever follows; -1 for other names. */
int64_t epoch_of(const std::string& name) {
  const std::string prefix = "epoch-";
  if (!name.starts_with(prefix)) return -1;
  const size_t end = name.find_first_not_of("0123456789", prefix.size());
  const std::string digits =
      name.substr(prefix.size(), std::min(end, name.size()) - prefix.size());
  return digits.empty() || digits.size() > kMostDigits ? -1
                                                       : std::stoll(digits);
}

/** Epochs of the files with that ending (all files for ""), the newest first.
 */
std::vector<int64_t> epochs_with(const std::string& run_folder,
                                 const std::string& ending) {
  std::vector<int64_t> epochs;
  std::error_code none;
  for (const auto& entry :
       fs::directory_iterator(folder_of(run_folder), none)) {
    const std::string name = entry.path().filename().string();
    const int64_t epoch = epoch_of(name);
    const bool fits =
        ending.empty() || entry.path() == stem_of(run_folder, epoch) + ending;
    if (epoch >= 0 && fits) epochs.push_back(epoch);
  }
  std::sort(epochs.rbegin(), epochs.rend());
  return epochs;
}

}  // namespace

Checkpoint read_checkpoint(const std::string& run_folder, int64_t epoch) {
  const std::string stem = stem_of(run_folder, epoch);
  std::string expected;
  auto checkpoint = read_mark(stem + kMark, expected);
  RSM_CHECK(checkpoint.epoch == epoch, "[checkpoint] ", stem, kMark,
            " says that it is of epoch ", checkpoint.epoch);
  const auto bytes = std::make_shared<const MappedFile>(stem + kTensors);
  RSM_CHECK(checksum(bytes->bytes()) == expected, "[checkpoint] ", stem,
            kTensors, " has another checksum than ", kMark, " says");
  auto file = view_safetensors(bytes);
  const auto said = file.metadata.find(kEpoch);
  RSM_CHECK(said == file.metadata.end() || said->second == cat(epoch),
            "[checkpoint] ", stem, kTensors, " says that it is of epoch ",
            said->second);
  checkpoint.tensors = std::move(file.tensors);
  return checkpoint;
}

void link_checkpoint(const std::string& run_folder, const std::string& to,
                     int64_t epoch) {
  make_folders(folder_of(to));
  for (const char* ending : {kTensors, kMark}) {
    const std::string from = stem_of(run_folder, epoch) + ending;
    const std::string path = stem_of(to, epoch) + ending;
    if (!link_path(from, path)) copy_file_atomic(from, path);
  }
}

std::vector<int64_t> checkpoint_epochs(const std::string& run_folder) {
  return epochs_with(run_folder, kMark);
}

void save_checkpoint(const std::string& run_folder,
                     const Checkpoint& checkpoint) {
  make_folders(folder_of(run_folder));
  const std::string stem = stem_of(run_folder, checkpoint.epoch);
  const auto sum = write_safetensors(stem + kTensors, checkpoint.tensors,
                                     {{kEpoch, cat(checkpoint.epoch)}});
  write_file_atomic(stem + kMark, mark_text(checkpoint, sum));
  auto marked = epochs_with(run_folder, kMark);
  std::erase_if(marked, [&](int64_t e) { return e > checkpoint.epoch; });
  for (size_t i = kKept; i < marked.size(); ++i) {
    if (marked[i] == checkpoint.healthy_epoch) continue;
    const std::string old = stem_of(run_folder, marked[i]);
    remove_file(old + kMark);  // first the mark, then the data
    remove_file(old + kTensors);
  }
}

std::optional<Checkpoint> latest_checkpoint(const std::string& run_folder,
                                            std::vector<std::string>* damaged) {
  for (const int64_t epoch : epochs_with(run_folder, kMark)) {
    try {
      return read_checkpoint(run_folder, epoch);
    } catch (const OtherVersion&) {
      throw;
    } catch (const Error& failure) {
      if (damaged == nullptr) continue;
      damaged->push_back(
          cat(stem_of(run_folder, epoch), kMark, ": ", failure.what()));
    }
  }
  return std::nullopt;
}

std::vector<std::string> tidy_checkpoints(const std::string& run_folder,
                                          int64_t epoch) {
  std::vector<std::string> said;
  for (const int64_t later : epochs_with(run_folder, kMark)) {
    if (later <= epoch) break;
    const std::string stem = stem_of(run_folder, later);
    for (const auto& path : {stem + kMark, stem + kTensors}) {
      rename_path(path, path + kDamaged);
    }
    said.push_back(cat("what is left of the damaged checkpoint is now called ",
                       stem, ".*", kDamaged, "; the run does not need it"));
  }
  const auto marked = epochs_with(run_folder, kMark);
  for (const int64_t half : epochs_with(run_folder, kTensors)) {
    if (std::find(marked.begin(), marked.end(), half) == marked.end()) {
      remove_file(stem_of(run_folder, half) + kTensors);
      said.push_back(cat("removed ", stem_of(run_folder, half), kTensors,
                         ", which a killed process left without its .json"));
    }
  }
  return said;
}

int64_t last_epoch_named(const std::string& run_folder) {
  const auto epochs = epochs_with(run_folder, "");
  return epochs.empty() ? -1 : epochs.front();
}

}  // namespace rsm
