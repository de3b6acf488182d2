#include "rsm/judges/onnx_reward.h"

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>

#include "rsm/base/error.h"
#include "rsm/base/workers.h"
#include "rsm/io/files.h"
#include "rsm/judges/judge_files.h"
#include "rsm/judges/network_reward.h"
#include "rsm/judges/onnx_network.h"

namespace rsm {
namespace {

using nlohmann::json;

constexpr int64_t kMostSize = 8192;  // pixels
constexpr const char* kSettings = ".json";

/** [B,3,height,width] in [0,1]. */
torch::Tensor fitted(const torch::Tensor& images, int64_t height,
                     int64_t width) {
  if (images.size(2) == height && images.size(3) == width) return images;
  const std::vector<int64_t> size = {height, width};
  return at::_upsample_bicubic2d_aa(images, size, /*align_corners=*/false)
      .clamp(0, 1);
}

class OnnxReward : public Reward {
 public:
  OnnxReward(RewardSpec spec, std::string path)
      : spec_(std::move(spec)), path_(std::move(path)) {}

  std::string name() const override { return spec_.name; }
  void check() const override;
  RewardScores score(const torch::Tensor& images,
                     const Prompts& prompts) const override;

 private:
  /** A network with how it is asked. */
  struct Parts {
    OnnxRewardSettings settings;
    OnnxNetwork network;
    size_t output = 0;  ///< the score, of its outputs
    int64_t tile = 1;   ///< pictures a call
    /** Of what it is shown; kOpenSize: of the pictures themselves. */
    int64_t height = kOpenSize, width = kOpenSize;
  };

  std::string who() const { return "reward " + spec_.name; }
  const Parts& parts() const;
  void read_input(Parts& p) const;
  void read_output(Parts& p) const;
  torch::Tensor judged(const Parts& p, const torch::Tensor& images) const;
  torch::Tensor scores(const Parts& p, const torch::Tensor& images) const;

  RewardSpec spec_;
  std::string path_;
  mutable std::mutex reading_;
  mutable std::unique_ptr<const Parts> parts_;
};

void OnnxReward::read_input(Parts& p) const {
  const auto& shape = p.network.input().shape;
  const int64_t size = p.settings.size;
  const auto fits = [](int64_t own, int64_t wanted) {
    return own == kOpenSize || own == wanted;
  };
  RSM_CHECK(shape.size() == 4 && fits(shape[1], 3), "[", who(), "] ",
            p.settings.network, " takes ", shown_shape(shape),
            "; pictures [B,3,H,W] are shown to it");
  RSM_CHECK(size == 0 || (fits(shape[2], size) && fits(shape[3], size)), "[",
            who(), "] ", path_, " has the size ", size, ", and the network ",
            "takes ", shown_shape(shape), "; leave size out, or export it for ",
            "any size");
  p.tile = shape[0] == kOpenSize ? 1 : shape[0];
  p.height = size > 0 ? size : shape[2];
  p.width = size > 0 ? size : shape[3];
}

void OnnxReward::read_output(Parts& p) const {
  std::vector<std::string> names;
  for (const auto& output : p.network.outputs()) names.push_back(output.name);
  const auto& wanted = p.settings.output;
  if (wanted.empty()) {
    RSM_CHECK(names.size() == 1, "[", who(), "] ", p.settings.network,
              " gives ", names.size(), " tensors: ", join(names),
              "; name the one that is the score as `output` of a JSON file "
              "(docs/rewards.md)");
    return;
  }
  const auto found = std::find(names.begin(), names.end(), wanted);
  RSM_CHECK(found != names.end(), "[", who(), "] ", path_, ": output is ",
            unknown_word(wanted, names));
  p.output = static_cast<size_t>(found - names.begin());
}

const OnnxReward::Parts& OnnxReward::parts() const {
  const std::lock_guard lock(reading_);
  if (parts_) return *parts_;
  const auto settings = read_onnx_settings(path_);
  std::unique_ptr<Parts> read(
      new Parts{settings, {who(), settings.network, threads_of(spec_)}});
  read_input(*read);
  read_output(*read);
  parts_ = std::move(read);
  return *parts_;
}

/** Scores [tile] of as many pictures as the network takes at once. */
torch::Tensor OnnxReward::judged(const Parts& p,
                                 const torch::Tensor& images) const {
  const auto shown =
      fitted(images, p.height == kOpenSize ? images.size(2) : p.height,
             p.width == kOpenSize ? images.size(3) : p.width);
  const auto out =
      p.network.run(shown_pixels(shown, p.settings.pixels)).at(p.output);
  const int64_t count = images.size(0);
  const bool right = out.is_floating_point() && out.numel() == count &&
                     (out.dim() <= 1 || (out.dim() == 2 && out.size(1) == 1));
  RSM_CHECK(right, "[", who(), "] ", p.settings.network, " gives scores ",
            out.sizes(), " of ", out.scalar_type(), " for pictures ",
            shown.sizes(), "; [", count, "] or [", count,
            ",1] of floating point are needed");
  return out.flatten();
}

torch::Tensor OnnxReward::scores(const Parts& p,
                                 const torch::Tensor& images) const {
  const int64_t count = images.size(0);
  if (count == 0) return at::empty({0}, at::kFloat);
  std::vector<torch::Tensor> values((count + p.tile - 1) / p.tile);
  run_jobs(std::ssize(values), threads_of(spec_), [&](int64_t call) {
    const torch::NoGradGuard no_grad;
    // The last picture stands for those that are missing in a tile.
    const auto rows = at::arange(call * p.tile, (call + 1) * p.tile, at::kLong)
                          .clamp_max(count - 1);
    values[call] = judged(p, images.index_select(0, rows));
  });
  return at::cat(values).slice(0, 0, count);
}

RewardScores OnnxReward::score(const torch::Tensor& images,
                               const Prompts& prompts) const {
  check_pictures(who(), images, prompts);
  return {scores(parts(), images), {}};
}

void OnnxReward::check() const {
  const Parts& p = parts();
  const auto tried = [](int64_t size) {
    return size == kOpenSize ? kTriedSize : size;
  };
  const auto found =
      scores(p, pictures_to_try(tried(p.height), tried(p.width)));
  check_tried(who(), p.settings.network, found.unsqueeze(1), "score");
}

}  // namespace

OnnxRewardSettings read_onnx_settings(const std::string& path) {
  OnnxRewardSettings s;
  s.network = path;
  if (!path.ends_with(kSettings)) return s;
  const json object = read_json(path);
  const JsonFields fields(object, "[onnx] " + path);
  json known = {{"network", nullptr}, {"size", nullptr}, {"output", nullptr}};
  for (const char* key : kPixelKeys) known[key] = nullptr;
  fields.check_keys(known);
  s.network = (std::filesystem::path(parent_of(path)) / fields.text("network"))
                  .string();
  fields.integer("size", s.size, 1, kMostSize);
  fields.text("output", s.output);
  read_pixels(fields, s.pixels);
  return s;
}

std::vector<std::string> onnx_places(const std::string& path) {
  std::vector<std::string> places;
  if (path.ends_with(kSettings)) places.push_back(path);
  // A run's first look at its config says what is missing, not this one.
  const bool readable = !path.ends_with(kSettings) || is_file(path);
  const auto network = readable ? read_onnx_settings(path).network : "";
  if (network.empty()) return places;
  for (const char* more : {"", ".data", "_data"}) {
    places.push_back(network + more);
  }
  return places;
}

std::unique_ptr<Reward> make_onnx_reward(const RewardSpec& spec,
                                         const std::string& path) {
  if (path.empty()) {
    throw UsageError(cat("[reward] got \"", spec.name,
                         "\"; onnx:FILE.onnx or onnx:FILE.json is needed"));
  }
  return std::make_unique<OnnxReward>(spec, path);
}

}  // namespace rsm
