#include "rsm/runs/pending_rollout.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "rsm/base/error.h"
#include "rsm/io/files.h"
#include "rsm/io/printable.h"
#include "rsm/io/safetensors.h"

namespace rsm {
namespace {

constexpr const char* kFileChecksum = "checksum";
constexpr const char* kReference = "reference";
/** Prompts that were drawn, where these are not all. */
constexpr const char* kDrawn = "drawn";

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
    if (key != kFileChecksum) all += cat(key, " ", value, "\n");
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

/** The tensors by name that a rollout has. */
std::map<std::string, torch::Tensor Rollout::*> tensors_of(
    const Rollout& rollout) {
  std::map<std::string, torch::Tensor Rollout::*> all = {
      {"x", &Rollout::x},
      {"y", &Rollout::y},
      {"x_next", &Rollout::x_next},
      {"latents", &Rollout::latents},
      {"cost", &Rollout::cost}};
  std::erase_if(
      all, [&](const auto& item) { return !(rollout.*item.second).defined(); });
  return all;
}

/** What of a rollout's tensors belongs to its first prompts: states, rows and
 * pictures stand by prompt. */
class Part {
 public:
  Part(const RolloutIndex& rollout, int64_t prompts) {
    const auto among = [&](int64_t prompt) { return prompt < prompts; };
    const auto count = [&](const std::vector<int64_t>& prompt_of) {
      return std::count_if(prompt_of.begin(), prompt_of.end(), among);
    };
    states_ = count(rollout.state_prompt);
    rows_ = std::count_if(
        rollout.row_state.begin(), rollout.row_state.end(),
        [&](int64_t state) { return among(rollout.state_prompt[state]); });
    images_ = count(rollout.image_prompt);
  }

  torch::Tensor of(const std::string& name, const torch::Tensor& all) const {
    const int64_t count = name == "latents"                    ? images_
                          : name == "x_next" || name == "cost" ? rows_
                                                               : states_;
    return all.narrow(0, 0, std::min(count, all.size(0)));  // some have none
  }

 private:
  int64_t states_ = 0, rows_ = 0, images_ = 0;
};

/** Fills the rollout from a whole file, and returns of how many prompts; an
 * rsm::Error says what is wrong with the file. */
int64_t fill(Rollout& rollout, const SafetensorsFile& file) {
  RSM_CHECK(checksum_of(file.tensors, file.metadata) ==
                text_at(file.metadata, kFileChecksum),
            "it has another checksum than it says");
  RSM_CHECK(checksum_of(rollout.prompts) == text_at(file.metadata, "prompts"),
            "it is of other prompts");
  RSM_CHECK(layout_of(rollout) == text_at(file.metadata, "layout"),
            "its states and rows are not those of the epoch's rollout");
  const auto prompts = std::ssize(rollout.prompts);
  const int64_t drawn = file.metadata.contains(kDrawn)
                            ? number_at(file.metadata, kDrawn)
                            : prompts;
  RSM_CHECK(drawn > 0 && drawn <= prompts, "it is of ", drawn, " prompts of ",
            prompts);
  const Part part(rollout, drawn);
  for (const auto& [name, member] : tensors_of(rollout)) {
    const auto found = file.tensors.find(name);
    const auto& all = rollout.*member;
    const auto wanted = drawn == prompts ? all : part.of(name, all);
    RSM_CHECK(
        found != file.tensors.end() && found->second.sizes() == wanted.sizes(),
        "its tensor \"", name, "\" is not of the epoch's rollout");
  }
  auto& reference = rollout.reference;
  if (!reference.states.empty()) {
    const auto found = file.tensors.find(kReference);
    RSM_CHECK(found != file.tensors.end() &&
                  found->second.sizes() == reference.y.sizes(),
              "its tensor \"", kReference, "\" is not of the epoch's rollout");
    reference.y = found->second;
  }
  for (const auto& [name, member] : tensors_of(rollout)) {
    auto& to = rollout.*member;
    if (drawn == prompts) {
      to = file.tensors.at(name);
    } else {
      part.of(name, to).copy_(file.tensors.at(name));
    }
  }
  rollout.evaluations = number_at(file.metadata, "evaluations");
  if (rollout.cost.defined()) {
    rollout.reference_evaluations =
        number_at(file.metadata, "reference_evaluations");
  }
  return drawn;
}

}  // namespace

void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, Progress& progress) {
  save_pending(run_folder, epoch, rollout, std::ssize(rollout.prompts),
               progress);
}

void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& rollout, int64_t drawn, Progress& progress) {
  const auto prompts = std::ssize(rollout.prompts);
  const Part part(rollout, drawn);
  StateDict tensors;
  for (const auto& [name, member] : tensors_of(rollout)) {
    tensors[name] = part.of(name, rollout.*member);
  }
  if (!rollout.reference.states.empty()) {
    tensors[kReference] = rollout.reference.y;
  }
  Metadata metadata = {{"epoch", std::to_string(epoch)},
                       {"evaluations", std::to_string(rollout.evaluations)},
                       {"prompts", checksum_of(rollout.prompts)},
                       {"layout", layout_of(rollout)}};
  if (drawn < prompts) metadata[kDrawn] = std::to_string(drawn);
  if (rollout.cost.defined()) {
    metadata["reference_evaluations"] =
        std::to_string(rollout.reference_evaluations);
  }
  metadata[kFileChecksum] = checksum_of(tensors, metadata);
  write_safetensors(path_in(run_folder), tensors, metadata);
  progress.say(cat("the pictures of epoch ", epoch + 1,
                   drawn < prompts ? cat(", as far as they were drawn (", drawn,
                                         " of ", prompts, " prompts),")
                                   : "",
                   " are kept in ", path_in(run_folder), ": the same command ",
                   drawn < prompts ? "goes on with" : "judges",
                   " them when it gets there"));
}

int64_t load_pending(const std::string& run_folder, int64_t epoch,
                     Rollout& rollout, Progress& progress) {
  const std::string path = path_in(run_folder);
  if (!is_there(path)) return 0;
  try {
    if (number_at(view_safetensors(path).metadata, "epoch") != epoch) return 0;
    return fill(rollout, read_safetensors(path));
  } catch (const Error& wrong) {
    progress.say(cat("warning: the kept pictures in ", path, " are of no use (",
                     wrong.what(), "); they are drawn again"));
    return 0;
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
