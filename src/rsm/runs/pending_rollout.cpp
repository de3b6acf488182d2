#include "rsm/runs/pending_rollout.h"

#include <charconv>
#include <map>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/printable.h"
#include "rsm/io/safetensors.h"

namespace rsm {
namespace {

constexpr const char* kChecksum = "checksum";

std::string path_in(const std::string& run_folder) {
  return run_folder + "/pending-rollout.safetensors";
}

using Metadata = std::map<std::string, std::string>;

const std::string& text_at(const Metadata& metadata, const std::string& key) {
  const auto found = metadata.find(key);
  RSM_CHECK(found != metadata.end(), "its metadata has no \"", key, "\"");
  return found->second;
}

int64_t number_at(const Metadata& metadata, const std::string& key) {
  const auto& text = text_at(metadata, key);
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  RSM_CHECK(read.ec == std::errc() && read.ptr == end, "its metadata has \"",
            key, "\": \"", printable(text, 40), "\", no whole number");
  return value;
}

/** Of all there is in the file but the checksum itself. */
std::string checksum_of(const StateDict& tensors, const Metadata& metadata) {
  std::string all;
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = tensor.cpu().contiguous();
    all += cat(name, " ", bytes.scalar_type(), " ", bytes.sizes(), " ",
               checksum({static_cast<const char*>(bytes.data_ptr()),
                         static_cast<size_t>(bytes.nbytes())}),
               "\n");
  }
  for (const auto& [key, value] : metadata) {
    if (key != kChecksum) all += cat(key, " ", value, "\n");
  }
  return checksum(all);
}

std::string checksum_of(const Prompts& prompts) {
  return checksum(join(texts_of(prompts), std::string(1, '\0')));
}

/** Which step and state each state and row is of: plans may be chosen anew. */
std::string layout_of(const RolloutIndex& rollout) {
  std::string all;
  for (const int64_t step : rollout.state_step) all += cat(step, " ");
  all += "/";
  for (const int64_t state : rollout.row_state) all += cat(" ", state);
  return checksum(all);
}

/** A rollout's tensors by name. */
std::map<std::string, torch::Tensor Rollout::*> tensors_of_rollouts() {
  return {{"x", &Rollout::x},
          {"y", &Rollout::y},
          {"x_next", &Rollout::x_next},
          {"latents", &Rollout::latents}};
}

/** Fills the rollout from a whole file; an rsm::Error says what is wrong with
 * that. */
void fill(Rollout& rollout, const SafetensorsFile& file) {
  RSM_CHECK(checksum_of(file.tensors, file.metadata) ==
                text_at(file.metadata, kChecksum),
            "it has another checksum than it says");
  RSM_CHECK(checksum_of(rollout.prompts) == text_at(file.metadata, "prompts"),
            "it is of other prompts");
  RSM_CHECK(layout_of(rollout) == text_at(file.metadata, "layout"),
            "its states and rows are not those of the epoch's rollout");
  for (const auto& [name, member] : tensors_of_rollouts()) {
    const auto found = file.tensors.find(name);
    RSM_CHECK(found != file.tensors.end() &&
                  found->second.sizes() == (rollout.*member).sizes(),
              "its tensor \"", name, "\" is not of the epoch's rollout");
  }
  for (const auto& [name, member] : tensors_of_rollouts()) {
    rollout.*member = file.tensors.at(name);
  }
  rollout.evaluations = number_at(file.metadata, "evaluations");
}

}  // namespace

void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, Progress& progress) {
  StateDict tensors;
  for (const auto& [name, member] : tensors_of_rollouts()) {
    tensors[name] = rollout.*member;
  }
  Metadata metadata = {{"epoch", std::to_string(epoch)},
                       {"evaluations", std::to_string(rollout.evaluations)},
                       {"prompts", checksum_of(rollout.prompts)},
                       {"layout", layout_of(rollout)}};
  metadata[kChecksum] = checksum_of(tensors, metadata);
  write_safetensors(path_in(run_folder), tensors, metadata);
  progress.say(cat("the pictures of epoch ", epoch + 1, " are kept in ",
                   path_in(run_folder),
                   ": the same command judges them when it gets there"));
}

bool load_pending(const std::string& run_folder, int64_t epoch,
                  Rollout& rollout, Progress& progress) {
  const std::string path = path_in(run_folder);
  if (!is_there(path)) return false;
  try {
    if (number_at(view_safetensors(path).metadata, "epoch") != epoch) {
      return false;
    }
    fill(rollout, read_safetensors(path));
    return true;
  } catch (const Error& wrong) {
    progress.say(cat("warning: the kept pictures in ", path, " are of no use (",
                     wrong.what(), "); they are drawn again"));
    return false;
  }
}

void remove_pending(const std::string& run_folder, int64_t epoch) {
  const std::string path = path_in(run_folder);
  if (!is_there(path)) return;
  try {
    if (number_at(view_safetensors(path).metadata, "epoch") > epoch) return;
  } catch (const Error&) {
    // Of no use to anybody.
  }
  remove_file(path);
}

}  // namespace rsm
