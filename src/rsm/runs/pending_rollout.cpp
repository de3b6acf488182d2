#include "rsm/runs/pending_rollout.h"

#include <charconv>
#include <filesystem>
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

torch::Tensor packed(const std::vector<int64_t>& values) {
  return torch::tensor(values, at::kLong);
}

std::vector<int64_t> unpacked(const torch::Tensor& values) {
  const int64_t* data = values.const_data_ptr<int64_t>();
  return {data, data + values.numel()};
}

/** [N,7] float64, fields in the order of the struct. */
torch::Tensor packed(const Transitions& steps) {
  std::vector<double> all;
  for (const auto& s : steps) {
    all.insert(all.end(),
               {s.t, s.t_next, s.a_x, s.m_y, s.s, s.diffusion, s.delta});
  }
  return torch::tensor(all, at::kDouble).view({-1, 7});
}

Transitions unpacked_steps(const torch::Tensor& all) {
  Transitions steps;
  for (int64_t i = 0; i < all.size(0); ++i) {
    const double* v = all.const_data_ptr<double>() + 7 * i;
    steps.push_back({v[0], v[1], v[2], v[3], v[4], v[5], v[6]});
  }
  return steps;
}

/** The rollout in a whole file; an rsm::Error says what is wrong with it. */
Rollout rollout_in(const SafetensorsFile& file, const Prompts& prompts,
                   torch::Device device) {
  const auto& metadata = file.metadata;
  const auto& t = file.tensors;
  RSM_CHECK(checksum_of(t, metadata) == text_at(metadata, kChecksum),
            "it has another checksum than it says");
  RSM_CHECK(checksum_of(prompts) == text_at(metadata, "prompts"),
            "it is of other prompts");
  Rollout r;
  r.prompts = prompts;
  r.transitions = unpacked_steps(t.at("transitions"));
  r.x = t.at("x").to(device);
  r.y = t.at("y").to(device);
  r.state_root = unpacked(t.at("state_root"));
  r.state_prompt = unpacked(t.at("state_prompt"));
  r.state_step = unpacked(t.at("state_step"));
  r.x_next = t.at("x_next").to(device);
  r.row_state = unpacked(t.at("row_state"));
  r.row_image = unpacked(t.at("row_image"));
  r.row_images = unpacked(t.at("row_images"));
  r.latents = t.at("latents").to(device);
  r.image_prompt = unpacked(t.at("image_prompt"));
  r.shared = text_at(metadata, "shared") == "1";
  r.evaluations = number_at(metadata, "evaluations");
  return r;
}

}  // namespace

void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& r, Progress& progress) {
  const StateDict tensors = {{"transitions", packed(r.transitions)},
                             {"x", r.x},
                             {"y", r.y},
                             {"state_root", packed(r.state_root)},
                             {"state_prompt", packed(r.state_prompt)},
                             {"state_step", packed(r.state_step)},
                             {"x_next", r.x_next},
                             {"row_state", packed(r.row_state)},
                             {"row_image", packed(r.row_image)},
                             {"row_images", packed(r.row_images)},
                             {"latents", r.latents},
                             {"image_prompt", packed(r.image_prompt)}};
  Metadata metadata = {{"epoch", std::to_string(epoch)},
                       {"shared", r.shared ? "1" : "0"},
                       {"evaluations", std::to_string(r.evaluations)},
                       {"prompts", checksum_of(r.prompts)}};
  metadata[kChecksum] = checksum_of(tensors, metadata);
  write_safetensors(path_in(run_folder), tensors, metadata);
  progress.say(cat("the pictures of epoch ", epoch + 1, " are kept in ",
                   path_in(run_folder),
                   ": the same command judges them when it gets there"));
}

std::optional<Rollout> load_pending(const std::string& run_folder,
                                    int64_t epoch, const Prompts& prompts,
                                    torch::Device device, Progress& progress) {
  const std::string path = path_in(run_folder);
  if (!is_there(path)) return std::nullopt;
  try {
    if (number_at(read_safetensors_metadata(path), "epoch") != epoch) {
      return std::nullopt;
    }
    return rollout_in(read_safetensors(path), prompts, device);
  } catch (const Error& wrong) {
    progress.say(cat("warning: the kept pictures in ", path, " are of no use (",
                     wrong.what(),
                     "); they are drawn "
                     "again"));
    return std::nullopt;
  }
}

void remove_pending(const std::string& run_folder, int64_t epoch) {
  const std::string path = path_in(run_folder);
  if (!is_there(path)) return;
  try {
    if (number_at(read_safetensors_metadata(path), "epoch") > epoch) return;
  } catch (const Error&) {
    // Of no use to anybody.
  }
  std::error_code code;
  std::filesystem::remove(path, code);
  RSM_CHECK(!code, "[finetune] cannot remove ", path, ": ", code.message());
}

}  // namespace rsm
