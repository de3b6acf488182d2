#include "rsm/train/pending_rollout.h"

#include <filesystem>

#include "rsm/base/error.h"
#include "rsm/io/safetensors.h"

namespace rsm {
namespace {

std::string path_in(const std::string& run_folder) {
  return run_folder + "/pending-rollout.safetensors";
}

int64_t epoch_of(const SafetensorsFile& file) {
  return std::stoll(file.metadata.at("epoch"));
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

}  // namespace

void save_pending(const std::string& run_folder, int64_t epoch,
                  const Rollout& r, Progress& progress) {
  write_safetensors(path_in(run_folder),
                    {{"transitions", packed(r.transitions)},
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
                     {"image_prompt", packed(r.image_prompt)}},
                    {{"epoch", std::to_string(epoch)},
                     {"shared", r.shared ? "1" : "0"},
                     {"evaluations", std::to_string(r.evaluations)}});
  progress.say(cat("the pictures of epoch ", epoch + 1, " are kept in ",
                   path_in(run_folder),
                   ": the same command judges them when it gets there"));
}

std::optional<Rollout> load_pending(const std::string& run_folder,
                                    int64_t epoch, torch::Device device) {
  const std::string path = path_in(run_folder);
  if (!std::filesystem::exists(path)) {
    return std::nullopt;
  }
  const auto file = read_safetensors(path);
  if (epoch_of(file) != epoch) {
    return std::nullopt;
  }
  const auto& t = file.tensors;
  Rollout r;
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
  r.shared = file.metadata.at("shared") == "1";
  r.evaluations = std::stoll(file.metadata.at("evaluations"));
  return r;
}

void remove_pending(const std::string& run_folder, int64_t epoch) {
  const std::string path = path_in(run_folder);
  if (std::filesystem::exists(path) &&
      epoch_of(read_safetensors(path)) <= epoch) {
    std::filesystem::remove(path);
  }
}

}  // namespace rsm
