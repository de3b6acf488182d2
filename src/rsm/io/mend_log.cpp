#include "rsm/io/mend_log.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/log_lines.h"

namespace rsm {
namespace {

/** A line and whether it has an evaluation. */
struct Line {
  std::string text;
  bool evaluated = false;
};

using Lines = std::map<int64_t, Line>;  // by epoch

/** The whole lines of a text. Of an epoch that comes again, as after a run was
 * set back, the later line counts, and no line of a later epoch before it. */
Lines whole_lines(std::string_view text, const std::string& path,
                  int64_t& damaged) {
  Lines out;
  damaged = 0;
  for (const auto& line : log_lines(text)) {
    if (line.blank()) continue;
    try {
      const auto value = parse_log_line(line, path);
      if (value.is_discarded()) break;
      const auto epoch = value["epoch"].get<int64_t>();
      out.erase(out.lower_bound(epoch), out.end());
      out[epoch] = {std::string(line.text), value.contains("eval")};
    } catch (const Error&) {
      if (damaged == 0) damaged = line.number;
    }
  }
  return out;
}

/** Whether a line says all that a saved one does, and an evaluation: its clock
 * went on then, and warnings came. */
bool says_more(const Line& line, const Line& saved) {
  if (!line.evaluated || saved.evaluated) return false;
  const auto more = nlohmann::json::parse(line.text);
  const auto less = nlohmann::json::parse(saved.text);
  const auto wall = more.find("wall_s");
  if (!more.at("eval").is_object() ||
      (wall != more.end() && !wall->is_number())) {
    return false;
  }
  for (const auto& [key, value] : less.items()) {
    if (key == "wall_s" || key == "warnings") continue;
    if (more.value(key, nlohmann::json()) != value) return false;
  }
  return true;
}

Lines lines_in(const std::string& path, int64_t& damaged) {
  damaged = 0;
  if (!is_there(path)) return {};
  return whole_lines(read_file(path), path, damaged);
}

/** Sorted epochs, however many, as ranges. */
class Epochs {
 public:
  void add(int64_t epoch) {
    if (!ranges_.empty() && ranges_.back().second + 1 == epoch) {
      ranges_.back().second = epoch;
    } else {
      ranges_.emplace_back(epoch, epoch);
    }
  }
  bool empty() const { return ranges_.empty(); }

  /** "epochs 1, 3 to 5", "epoch 2" */
  std::string text() const {
    std::vector<std::string> parts;
    for (const auto& [first, last] : ranges_) {
      parts.push_back(first == last ? cat(first) : cat(first, " to ", last));
    }
    const bool one =
        ranges_.size() == 1 && ranges_.front().first == ranges_.front().second;
    return cat(one ? "epoch " : "epochs ", join(parts));
  }

 private:
  std::vector<std::pair<int64_t, int64_t>> ranges_;
};

/** What happened to which epochs. */
struct Changes {
  Epochs restored, replaced, dropped;
};

std::vector<std::string> told(const Changes& changes, const std::string& path,
                              int64_t damaged) {
  std::vector<std::string> said;
  const std::string where = damaged > 0 ? cat(path, ":", damaged) : path;
  if (!changes.restored.empty()) {
    said.push_back(cat("warning: ", changes.restored.text(),
                       " missing or damaged in ", where,
                       "; restored from the checkpoint"));
  }
  if (!changes.replaced.empty()) {
    said.push_back(cat("warning: ", changes.replaced.text(), " of ", path,
                       " changed since they were saved; restored from the "
                       "checkpoint"));
  }
  if (!changes.dropped.empty()) {
    said.push_back(cat(changes.dropped.text(), " of ", path,
                       " came after the checkpoint and will be done again"));
  }
  return said;
}

}  // namespace

MendedLog mend_log(const std::string& path,
                   const std::vector<std::string>& saved, int64_t epoch) {
  int64_t damaged = 0, unused = 0;
  const Lines file = lines_in(path, damaged);
  const Lines kept = whole_lines(join(saved, "\n") + "\n", path, unused);
  MendedLog out;
  Changes changes;
  for (const auto& [e, before] : kept) {
    const auto there = file.find(e);
    const bool amended =
        there != file.end() && says_more(there->second, before);
    const Line& line = amended ? there->second : before;
    if (there == file.end()) {
      changes.restored.add(e);
    } else if (line.text != there->second.text) {
      changes.replaced.add(e);
    }
    out.text += line.text + "\n";
  }
  for (auto later = file.upper_bound(epoch); later != file.end(); ++later) {
    changes.dropped.add(later->first);
  }
  out.said = told(changes, path, damaged);
  return out;
}

int64_t last_epoch_in(const std::string& path, int64_t& damaged) {
  const Lines lines = lines_in(path, damaged);
  return lines.empty() ? -1 : lines.rbegin()->first;
}

}  // namespace rsm
